"""A run: everything that an agent knows, as data. Its JSON resumes in another process."""

import json
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_core import from_json

from ai_base.llm.commands.trace import tree
from ai_base.llm.ledger.records import Step, new_id
from ai_base.llm.money import dollars

type Ended = Literal[
    "", "answer", "max_steps", "max_tool_calls", "seconds", "dollars", "repeated", "approval", "refused", "failed"
]
"""Why a run ended; empty while it goes on, or if it was cancelled.

refused: a cap of the configuration. failed: no model answered. approval: a tool call waits for a person.
"""


class Run(BaseModel):
    """The state of a run. `model_dump_json` holds it as it is; the ledger gets the steps, scrubbed."""

    id: str = Field(default_factory=new_id)
    question: str
    messages: list[ModelMessage] = []
    returns: dict[int, ToolReturnPart] = {}
    """Results of the last response's tool calls, by position from 1, until all are there."""
    steps: list[Step] = []
    ended: Ended = ""
    answer: str = ""
    error: str = ""
    """Why the run was refused or failed, scrubbed."""
    waiting: list[str] = []
    """Escalations that wait for a person's approval."""
    requests: NonNegativeInt = 0
    tool_calls: NonNegativeInt = 0
    cost: NonNegativeInt = 0
    """Nanodollars."""
    seconds: NonNegativeFloat = 0
    interaction_ids: list[str] = []

    @property
    def dollars(self) -> Decimal:
        """What the run has cost."""
        return dollars(self.cost)

    @property
    def response(self) -> ModelResponse | None:
        """The last response, if it is not answered by tool results yet."""
        last = self.messages[-1] if self.messages else None
        return last if isinstance(last, ModelResponse) else None

    @property
    def responses(self) -> int:
        """Number of responses so far."""
        return sum(isinstance(message, ModelResponse) for message in self.messages)

    def repetitions(self, position: int) -> int:
        """Return how often the call at this position of the last response has been made in a row, itself included."""
        calls = [part for message in self.messages if isinstance(message, ModelResponse) for part in message.tool_calls]
        behind = len(self.response.tool_calls) - position if self.response else 0
        calls = calls[: len(calls) - behind]
        count = 0
        while count < len(calls) and call_key(calls[-1 - count]) == call_key(calls[-1]):
            count += 1
        return count

    def tree(self, width: int = 80) -> str:
        """Return the steps as a tree, for a terminal of this width."""
        return tree(self.steps, width)


def call_key(call: ToolCallPart) -> str:
    """Return a text that is equal for equal calls, however their arguments are written."""
    arguments = call.args or {}
    try:
        parsed = from_json(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        parsed = arguments
    return f"{call.tool_name} {json.dumps(parsed, sort_keys=True, default=str)}"
