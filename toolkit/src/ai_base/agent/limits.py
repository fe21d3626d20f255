"""The limits of a run. Reaching one ends the run and keeps all its work."""

from decimal import Decimal

from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt

from ai_base.agent.run import Run
from ai_base.llm.interaction import Budget
from ai_base.llm.money import nanodollars

SCOPE = "agent run"


class Limits(BaseModel, frozen=True, extra="forbid"):
    """What one run may do, all its resumptions together. The gateway's own caps hold as well."""

    max_steps: NonNegativeInt = 8
    """Model requests, as the provider counts them: retries, fallbacks and requests that tools make included."""
    max_tool_calls: NonNegativeInt = 20
    """Executions of tools. A call of an unknown tool, or with invalid arguments, executes nothing."""
    seconds: NonNegativeFloat | None = None
    """Working time; the wait for a person does not count. None: the deadline of an interaction, each time."""
    dollars: Decimal | None = Field(default=None, ge=0)
    """Nothing is sent that could cost more."""
    tool_seconds: NonNegativeFloat = 30
    """For one execution of a tool."""
    observation_characters: int = Field(default=8000, ge=100)
    """The rest of a longer result is cut off."""

    def budget(self, run: Run, outer: Budget) -> Budget:
        """Return the budget of the run, with what it has used so far. It counts on top of the interaction's budget."""
        cap = None if self.dollars is None else nanodollars(self.dollars)
        return Budget(cap, self.max_steps, calls=run.requests, spent=run.cost, outer=outer, scope=SCOPE)
