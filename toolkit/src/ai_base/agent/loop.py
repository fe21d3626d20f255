"""The ReAct loop: ask the model, execute the tools that it calls, tell it what they returned, until it answers."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import structlog
from pydantic_ai import messages
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_core import to_json

from ai_base.agent.approval import approval_of, is_approved
from ai_base.agent.limits import SCOPE
from ai_base.agent.run import Ended, Run
from ai_base.agent.tools import Arguments, Observation, arguments_of
from ai_base.llm import errors
from ai_base.llm.cancellation import shielded
from ai_base.llm.candidates.attempt import ledger_patience
from ai_base.llm.interaction import ActiveInteraction
from ai_base.llm.ledger.records import Step, new_id, now
from ai_base.text.scrub import scrub

if TYPE_CHECKING:
    from ai_base.agent.agent import SimpleReActAgent

log = structlog.get_logger(__name__)

MOST_REPETITIONS = 3
"""So many equal calls in a row end a run; the last one is not executed."""


class Loop:
    """One run, or a part of one, within one interaction."""

    def __init__(
        self,
        agent: "SimpleReActAgent",
        run: Run,
        call: ActiveInteraction,
        on_step: Callable[[Step], None] | None,
    ) -> None:
        self._agent, self._run, self._call, self._on_step = agent, run, call, on_step
        self._ledger, self._toolbox = agent.gateway.ledger, agent.toolbox
        self._parameters = ModelRequestParameters(function_tools=agent.toolbox.definitions)
        self._budget = call.budget = agent.limits.budget(run, call.budget)
        self._unsaved: list[Step] = []
        call.row.request = scrub(run.question)
        run.interaction_ids.append(call.row.id)

    async def run(self) -> Ended:
        """Go on until there is an answer, a limit is reached or a person has to approve a call; return which.

        Raises:
            LLMError: The gateway refuses a call, or no model answers.
        """
        try:
            return await self._until_it_ends()
        except errors.DeadlineExceededError:
            return "seconds"
        except errors.CallLimitError:
            if self._budget.calls < self._budget.calls_cap:
                raise  # a cap of the configuration
            return "max_steps"
        except errors.BudgetExceededError as error:
            if error.scope != SCOPE:
                raise
            return "dollars"
        finally:
            self._call.row.prompt_version = self._agent.prompt_version
            self._count_spending()
            await self._save_steps()

    async def _until_it_ends(self) -> Ended:
        run = self._run
        if not run.messages:
            self._begin()
        while True:
            if response := run.response:
                if not response.tool_calls:
                    return self._answer_question(response)
                if ended := await self._answer_calls(response):
                    return ended
                returns = [run.returns[position] for position in sorted(run.returns)]
                run.messages.append(messages.ModelRequest(parts=returns))
                run.returns = {}
            await self._ask()

    def _begin(self) -> None:
        instructions, question = self._agent.instructions, self._run.question
        system = [messages.SystemPromptPart(instructions)] if instructions else []
        self._run.messages.append(messages.ModelRequest(parts=[*system, messages.UserPromptPart(question)]))
        tools = [[tool.name, tool.description, tool.parameters_json_schema] for tool in self._toolbox.definitions]
        step = self._step()
        step.thought, step.arguments = scrub(instructions), scrub(to_json(tools).decode())
        self._emit(step, question, "question")

    def _answer_question(self, response: ModelResponse) -> Ended:
        self._run.answer = response.text or ""
        step = self._step()
        self._describe(step, response)
        self._emit(step, self._run.answer, "answer")
        return "answer"

    # ---- The model ----

    async def _ask(self) -> None:
        """Add the model's response to the messages, with what it took in its metadata."""
        started, spent = time.perf_counter(), self._budget.spent
        not_settled: errors.LLMError | None = None
        try:
            response = await self._agent.model.request(self._run.messages, self._agent.settings, self._parameters)
        except errors.LLMError as error:
            if error.unsettled is None:
                raise
            response, not_settled = error.unsettled, error  # it was paid for: a resumed run goes on from it
        finally:
            self._count_spending()
        text = response.text or ""
        if response.finish_reason in ("length", "content_filter"):
            raise errors.TruncatedOutputError(text, f"it was cut off: {response.finish_reason}")
        if not response.tool_calls and not text.strip():
            raise errors.InvalidOutputError("it is empty", text)
        took = {"ms": round((time.perf_counter() - started) * 1000, 3), "cost": self._budget.spent - spent}
        response.metadata = {**(response.metadata or {}), **took}
        self._run.messages.append(response)
        if not_settled:
            raise not_settled

    def _count_spending(self) -> None:
        self._run.requests, self._run.cost = self._budget.calls, self._budget.spent

    # ---- Tools ----

    async def _answer_calls(self, response: ModelResponse) -> Ended:
        """Execute the tool calls of a response, all at the same time; return why the run ends, if it does."""
        run, allowed = self._run, list[tuple[Step, ToolCallPart, Arguments, str]]()
        ended: Ended = ""
        self._call.remaining()
        # After an interruption, some calls have been answered.
        calls = [each for each in enumerate(response.tool_calls, start=1) if each[0] not in run.returns]
        steps = [self._step(position, call) for position, call in calls]
        for first in steps[:1]:
            self._describe(first, response)
        for step, (_, call) in zip(steps, calls, strict=True):
            arguments = self._toolbox.validate(call)
            ended = ended or self._limit_reached(step, len(allowed), executes=isinstance(arguments, dict))
            if ended:
                self._answer(step, call, Observation("", "skipped"))
            elif isinstance(arguments, Observation):
                self._answer(step, call, arguments)
            elif isinstance(approval := await self._approval(step, call), Observation):
                self._answer(step, call, approval)
            else:
                allowed.append((step, call, arguments, approval))
        failures = await asyncio.gather(*(self._execute(*each) for each in allowed), return_exceptions=True)
        for failure in filter(None, failures):  # of the ledger; the other calls have been executed
            raise failure
        await self._save_steps()
        return ended or ("approval" if run.waiting else "")

    def _limit_reached(self, step: Step, allowed: int, *, executes: bool) -> Ended:
        if self._run.repetitions(step.position) >= MOST_REPETITIONS:
            return "repeated"
        used_up = self._run.tool_calls + allowed >= self._agent.limits.max_tool_calls
        return "max_tool_calls" if executes and used_up else ""

    async def _approval(self, step: Step, call: ToolCallPart) -> str | Observation:
        """Return the id of a person's approval, or why the call may not be executed. Empty: it needs no approval."""
        if not self._toolbox.needs_approval(call):
            return ""
        question = approval_of(self._run, step.position, call, self._agent.name)
        found = await self._in_time(self._ledger.answered(question.key))
        if found is None:
            self._run.waiting.append(await self._in_time(shielded(self._ledger.escalate(question))))
            return Observation(f"escalation {self._run.waiting[-1]}", "waiting")
        return found.id if is_approved(found) else Observation(f"a person refused this call: {found.answer}", "denied")

    async def _execute(self, step: Step, call: ToolCallPart, arguments: Arguments, approval: str) -> None:
        """Execute a call. Its approval is used up before, so that it is executed once at most."""
        if approval and not await self._in_time(self._ledger.use_approval(approval)):
            self._answer(step, call, self._toolbox.failure("it was started before, and its result was lost"))
            return
        self._run.tool_calls += 1
        started = time.perf_counter()
        seconds = min(self._agent.limits.tool_seconds, max(0.0, self._call.ends - time.monotonic()))
        observation = await self._toolbox.execute(call, arguments, seconds)
        step.tool_ms = round((time.perf_counter() - started) * 1000, 3)
        self._answer(step, call, observation)

    async def _in_time[R](self, access: Coroutine[Any, Any, R]) -> R:
        """Return what the ledger returns, or end the run at its deadline."""
        try:
            async with asyncio.timeout(ledger_patience(self._call, self._agent.gateway.candidates.config().budgets)):
                return await access
        except TimeoutError as error:
            raise errors.DeadlineExceededError(self._call.deadline) from error

    # ---- Steps ----

    def _answer(self, step: Step, call: ToolCallPart, observation: Observation) -> None:
        text, outcome = observation
        if outcome in ("ok", "failed", "denied"):
            returned = messages.ToolReturnPart(call.tool_name, text, call.tool_call_id)
            returned.outcome = "success" if outcome == "ok" else outcome
            self._run.returns[step.position] = returned
        self._emit(step, text, outcome)

    def _step(self, position: int = 0, call: ToolCallPart | None = None) -> Step:
        step = Step(new_id(), self._run.id, self._call.row.id, now(), self._run.responses, position)
        if call:
            step.tool, step.arguments = scrub(call.tool_name), scrub(arguments_of(call))
        return step

    def _describe(self, step: Step, response: ModelResponse) -> None:
        """Write thought, tokens and cost of a response into its first step, unless that was before an interruption."""
        if all(each.request != step.request for each in self._run.steps):
            step.thought = scrub(response.text or response.thinking or "") if step.tool else ""
            step.input_tokens, step.output_tokens = response.usage.input_tokens, response.usage.output_tokens
            took = response.metadata or {}
            step.cost, step.model_ms = took.get("cost", 0), took.get("ms", 0)

    def _emit(self, step: Step, observation: str, outcome: str) -> None:
        step.observation, step.outcome = scrub(observation), outcome
        self._run.steps.append(step)
        self._unsaved.append(step)
        if self._on_step:
            self._on_step(step)

    async def _save_steps(self) -> None:
        """Store the new steps; after the run's deadline, in the background."""
        steps, self._unsaved = self._unsaved, []
        if steps:
            try:
                await self._in_time(shielded(self._add_to_ledger(steps)))
            except errors.DeadlineExceededError:
                log.warning("llm steps recorded late", interaction=self._call.row.id)

    async def _add_to_ledger(self, steps: list[Step]) -> None:
        try:
            await self._ledger.add_steps(steps)
        except errors.LedgerError as error:
            log.error("llm steps not recorded", error=str(error), interaction=self._call.row.id)  # noqa: TRY400
