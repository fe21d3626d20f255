"""One question on its way to an answer: cache, candidates, repair, confidence, and what is left when all fail."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

import structlog
from pydantic import BaseModel
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, SystemPromptPart, UserPromptPart
from pydantic_ai.settings import ModelSettings

from ai_base.llm import errors
from ai_base.llm.candidates.chain import Candidates
from ai_base.llm.candidates.guard import Guard
from ai_base.llm.configuration.config import Config
from ai_base.llm.configuration.prompts import Prompt
from ai_base.llm.gateway.answers import Answer, Source, name_of, parameters, question_key, read_text, write_text
from ai_base.llm.interaction import ActiveInteraction
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import Escalation, new_id, now
from ai_base.llm.money import dollars
from ai_base.text.scrub import scrub

log = structlog.get_logger(__name__)

# After these, an answer that costs nothing is better than none. What is wrong with the question itself surfaces.
NO_ANSWER = (
    errors.AllCandidatesFailedError,
    errors.DeadlineExceededError,
    errors.BudgetExceededError,
    errors.CallLimitError,
)
REPAIR = "That answer cannot be used: {reason}\nAnswer again: the complete answer, and nothing else."
CUT = "\n[... cut: the rest was too long]"


@dataclass
class Question:
    """What is asked, and all that it takes to answer it. `config` is the one of the moment when it was asked."""

    config: Config
    candidates: Candidates
    ledger: Ledger
    call: ActiveInteraction
    prompt: Prompt
    variables: Mapping[str, object]
    output_type: type
    chain: str
    judge: Callable[[Any], float] | None = None
    text: str = field(init=False)
    key: str = field(init=False)
    model: str = ""
    """Which model's answer was read last."""

    def __post_init__(self) -> None:
        kind = self.output_type
        if not (isinstance(kind, type) and (kind is str or issubclass(kind, BaseModel))):
            raise TypeError(f"output_type must be str or a Pydantic model, not {kind!r}")
        self.chain = self.chain or self.prompt.settings.chain
        self.text = self._fitting_text()
        guards, row = self.candidates.chain(self.chain), self.call.row
        self.key = question_key(self.prompt.name, self.prompt.version, self.text, kind, guards)
        row.prompt, row.prompt_version, row.chain = self.prompt.name, self.prompt.version, self.chain
        row.request, row.output_type = scrub(self.text), name_of(kind)

    @property
    def messages(self) -> list[ModelMessage]:
        """The conversation so far: instructions, if the prompt has any, and the question."""
        system = [SystemPromptPart(self.prompt.settings.system)] if self.prompt.settings.system else []
        return [ModelRequest(parts=[*system, UserPromptPart(self.text)])]

    @property
    def settings(self) -> ModelSettings:
        """What the prompt decides about the call."""
        wanted = {"temperature": self.prompt.settings.temperature, "max_tokens": self.prompt.settings.max_output_tokens}
        return cast("ModelSettings", {key: value for key, value in wanted.items() if value is not None})

    async def answer(self, fallback: Callable[[], object] | None, *, human: bool) -> Answer[Any]:
        """Find an answer, from the best source that has one. Raises as `Gateway.ask`."""
        if self.config.cache.fresh and (kept := await self._cached(self.config.cache.fresh)) is not None:
            return self._answer(kept, "cache", reason="asked before")
        try:
            output, sure = await self._ask(self.chain)
            if self._doubts(sure):
                output, sure = await self._ask_stronger(output, sure)
        except NO_ANSWER as error:
            return await self._without_model(error, fallback, human=human)
        if self._doubts(sure) and self.config.escalation.human:
            return await self._ask_person(output, sure)
        answer, text = self._answer(output, "model", confidence=sure), write_text(output)
        # A secret, or a field that is left out, is not in the text: the cache could not give it back.
        if self.config.cache.stale and self.call.row.response == text and self._read_again(text) == output:
            self.call.answer = self.key, text
        return answer

    async def _ask(self, chain: str) -> tuple[Any, float | None]:
        """Ask the candidates of a chain in turn, until an answer is valid; how sure it is."""
        failures: list[Exception] = []
        for guard in self.candidates.chain(chain):
            try:
                output = await self._ask_one(guard)
            except (errors.UnavailableError, errors.InvalidOutputError) as error:
                failures.append(error)
                log.warning("llm candidate gave no answer", candidate=guard.name, error=str(error))
            else:
                sure = self.judge(output) if self.judge else getattr(output, "confidence", None)
                return output, float(sure) if isinstance(sure, (int, float, Decimal)) else None
        raise errors.AllCandidatesFailedError(chain, failures)

    async def _ask_one(self, guard: Guard) -> Any:  # noqa: ANN401 - of the output type
        """Ask a candidate, and once more if its answer is invalid."""
        messages, params = self.messages, parameters(guard, self.output_type)
        response = await guard.request(messages, self.settings, params)
        try:
            output = self._read(response)
        except errors.InvalidOutputError as error:
            log.info("llm repair", candidate=guard.name, reason=error.reason)
            again = ModelRequest(parts=[UserPromptPart(REPAIR.format(reason=error.reason))])
            messages = guard.prepare_messages([*messages, response, again], params)
            response = await guard.request(messages, self.settings, params)
            output = self._read(response)
        self.model = response.model_name or guard.model_name
        return output

    def _doubts(self, sure: float | None) -> bool:
        return sure is not None and not self.config.escalation.confidence <= sure <= 1  # nor is NaN sure

    async def _ask_stronger(self, output: object, sure: float | None) -> tuple[object, float | None]:
        """Ask the stronger chain; where it cannot answer, the first answer stands."""
        stronger, first = self.config.escalation.chain, self.model
        if stronger and stronger != self.chain:
            try:
                return await self._ask(stronger)
            except (*NO_ANSWER, errors.RefusedError, errors.ConfigError) as error:
                log.warning("llm stronger chain gave no answer", chain=stronger, error=str(error))
                self.model = first
        return output, sure

    async def _ask_person(self, draft: object, sure: float | None) -> Answer[Any]:
        """Take a person's answer if there is one; else queue the question, and let the draft serve meanwhile."""
        if (output := await self._answered_by_person()) is not None:
            return self._answer(output, "human", reason="answered by a person")
        reason = f"confidence {sure} is below {self.config.escalation.confidence}"
        waiting = await self._escalate(reason, scrub(write_text(draft)))
        return self._answer(draft, "human", confidence=sure, escalation_id=waiting, reason=reason)

    async def _without_model(
        self, error: errors.LLMError, fallback: Callable[[], object] | None, *, human: bool
    ) -> Answer[Any]:
        """Find an answer that costs nothing; the error surfaces where there is none."""
        reason = f"{type(error).__name__}: {error}"
        self.call.row.error = scrub(reason)
        refused = isinstance(error, errors.RefusedError)  # then the caller decides what may stand in
        if not refused and (output := await self._cached(self.config.cache.stale)) is not None:
            return self._answer(output, "cache", reason=reason)
        if fallback is not None:
            return self._answer(fallback(), "fallback", reason=reason)
        if not human:
            raise error
        if (output := await self._answered_by_person()) is not None:
            return self._answer(output, "human", reason=reason)
        raise errors.AwaitingHumanError(await self._escalate(reason)) from error

    def _read(self, response: ModelResponse) -> Any:  # noqa: ANN401 - of the output type
        text = "" if response.finish_reason == "content_filter" else response.text or ""
        return read_text(text, self.output_type, self.config.output.html)

    def _read_again(self, text: str | None) -> object | None:
        """Read what was stored, unless there is nothing, or the type has changed since."""
        try:
            return None if text is None else read_text(text, self.output_type, self.config.output.html)
        except errors.InvalidOutputError as error:
            log.warning("llm stored answer does not fit", interaction=self.call.row.id, reason=error.reason)
            return None

    async def _cached(self, max_age: float) -> object | None:
        return self._read_again(await self.ledger.cached(self.key, max_age))

    async def _answered_by_person(self) -> object | None:
        found = await self.ledger.answered(self.key)
        return self._read_again(found.answer if found else None)

    async def _escalate(self, reason: str, draft: str = "") -> str:
        facts = (new_id(), self.call.row.id, now(), self.key, scrub(reason), self.prompt.name, self.call.row.request)
        escalation = Escalation(*facts, draft, self.call.row.output_type)
        log.warning("llm escalated to a person", escalation=escalation.id, reason=reason)
        return await self.ledger.escalate(escalation)

    def _answer(self, output: object, source: Source, **more: Any) -> Answer[Any]:  # noqa: ANN401 - fields of Answer
        row = self.call.row
        row.source, row.response, row.confidence = source, scrub(write_text(output)), more.get("confidence")
        row.model = self.model if source == "model" or more.get("escalation_id") else ""
        return Answer(output, source, row.model, dollars(row.cost), row.calls, row.id, **more)

    def _fitting_text(self) -> str:
        """Render the prompt; of an input that is too long, cut the longest variable, or refuse it, as configured."""
        text, limit = self.prompt.render(self.variables), self.config.input.max_bytes
        if (size := len(text.encode())) <= limit:
            return text
        texts = {name: value.encode() for name, value in self.variables.items() if isinstance(value, str)}
        longest = max(texts, key=lambda name: len(texts[name]), default="")
        keep = len(texts.get(longest, b"")) - (size - limit) - len(CUT)
        if self.config.input.too_long == "cut" and keep > 0:
            log.warning("llm input cut", variable=longest, size=size, limit=limit)
            kept = texts[longest][:keep].decode(errors="ignore") + CUT
            text = self.prompt.render({**self.variables, longest: kept})
        if len(text.encode()) > limit:
            raise errors.InputTooLargeError(limit, size)
        return text
