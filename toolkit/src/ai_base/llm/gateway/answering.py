"""The way from a question to an answer: known answers, candidates, repair, confidence, fallbacks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import structlog
from pydantic_ai.messages import ModelRequest, ModelResponse, UserPromptPart

from ai_base.llm import errors
from ai_base.llm.candidates.chain import Candidates
from ai_base.llm.candidates.guard import Guard
from ai_base.llm.configuration.config import Config
from ai_base.llm.configuration.prices import OFFLINE
from ai_base.llm.gateway.answers import Answer, Source, cache_key
from ai_base.llm.gateway.output import Parsed, name_of, parameters, read_text, write_text
from ai_base.llm.gateway.question import Question
from ai_base.llm.gateway.stored_answers import StoredAnswers
from ai_base.llm.interaction import ActiveInteraction
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.money import dollars
from ai_base.text.scrub import scrub

log = structlog.get_logger(__name__)

# After these errors an answer that costs nothing is better than none. An error in the question itself is raised.
NO_ANSWER = (
    errors.AllCandidatesFailedError,
    errors.DeadlineExceededError,
    errors.BudgetExceededError,
    errors.CallLimitError,
)
REPAIR = "That answer cannot be used: {reason}\nAnswer again: the complete answer, and nothing else."


@dataclass(frozen=True)
class Candidate:
    """An output that a model gave."""

    parsed: Parsed
    model: str
    """As the provider reports it."""
    confidence: float | None

    @property
    def output(self) -> Any:  # noqa: ANN401 - of the output type
        """The validated output."""
        return self.parsed.output


@dataclass
class Answering:
    """Answers one question. `config` stays the same for the whole interaction, even if the file is edited."""

    config: Config
    candidates: Candidates
    ledger: Ledger
    call: ActiveInteraction
    question: Question
    judge: Callable[[Any], float] | None = None
    key: str = field(init=False)
    stored: StoredAnswers = field(init=False)

    def __post_init__(self) -> None:
        question, row = self.question, self.call.row
        prompt, guards = question.prompt, self.candidates.chain(question.chain)
        self.key = cache_key(question, guards)
        self.stored = StoredAnswers(self.ledger, self.call, self.config.budgets, self.key)
        row.prompt, row.prompt_version, row.chain = prompt.name, prompt.version, question.chain
        row.request, row.output_type = scrub(question.record), name_of(question.output_type)

    async def answer(self, fallback: Callable[[], object] | None, *, human: bool) -> Answer[Any]:
        """Return an answer from the best source that has one. Raises as `Gateway.ask`."""
        try:
            if (known := await self._known_answer(human=human)) is not None:
                return known
            candidate = await self._ask(self.question.chain)
            if self._is_doubtful(candidate):
                candidate = await self._ask_stronger_chain(candidate)
        except NO_ANSWER as error:
            return await self._answer_without_model(error, fallback, human=human)
        if self._is_doubtful(candidate) and self.config.escalation.human:
            return await self._escalate_draft(candidate)
        answer = self._from_model(candidate)
        self._remember(candidate.output)
        return answer

    # ---- Answers that cost nothing ----

    async def _known_answer(self, *, human: bool) -> Answer[Any] | None:
        """Return a person's answer to this question, or a fresh one from the cache."""
        asks_people = human or self.config.escalation.human
        if asks_people and (output := self._read_stored(await self.stored.from_person())) is not None:
            return self._answer(output, "human", fallback_reason="answered by a person")
        if (output := self._read_stored(await self.stored.from_cache(self.config.cache.fresh))) is not None:
            return self._answer(output, "cache", fallback_reason="asked before")
        return None

    async def _answer_without_model(
        self, error: errors.LLMError, fallback: Callable[[], object] | None, *, human: bool
    ) -> Answer[Any]:
        """Return a stale answer or the caller's fallback, or ask a person; else raise the error.

        After a refused budget no stale answer is given: the caller decides what may replace a paid one.
        """
        reason = f"{type(error).__name__}: {error}"
        self.call.row.error = scrub(reason)
        budget_refused = isinstance(error, errors.BudgetExceededError)
        if not budget_refused and (output := await self._stale_answer()) is not None:
            return self._answer(output, "cache", fallback_reason=reason)
        if fallback is not None:
            return self._answer(fallback(), "fallback", fallback_reason=reason)
        if not human:
            raise error
        if (escalation := await self.stored.ask_person(reason, "")) is None:
            raise error
        raise errors.AwaitingHumanError(escalation) from error

    async def _stale_answer(self) -> Any | None:  # noqa: ANN401
        try:
            return self._read_stored(await self.stored.from_cache(self.config.cache.stale))
        except errors.DeadlineExceededError:
            return None  # the caller's fallback needs no ledger

    def _read_stored(self, text: str | None) -> Any | None:  # noqa: ANN401
        """Read a stored answer; None if there is none, or if it does not fit the type."""
        if text is None:
            return None
        try:
            return read_text(text, self.question.output_type, self.config.output).output
        except errors.InvalidOutputError as error:
            log.warning("llm stored answer does not fit", interaction=self.call.row.id, reason=error.reason)
            return None

    def _remember(self, output: object) -> None:
        """Keep the answer for the cache, if the scrubbed text still holds all of it: secrets are never stored."""
        text = write_text(output, self.question.output_type)
        if self.config.cache.stale and self.call.row.response == text and self._read_stored(text) == output:
            self.call.answer = self.key, text

    # ---- Models ----

    async def _ask(self, chain: str) -> Candidate:
        """Ask the candidates of a chain in turn until one gives a valid output."""
        failures: list[Exception] = []
        for guard in self.candidates.chain(chain):
            try:
                parsed, model = await self._ask_one(guard)
            except (errors.UnavailableError, errors.InvalidOutputError) as error:
                failures.append(error)
                log.warning("llm candidate gave no answer", candidate=guard.name, error=str(error))
            else:
                # The offline model's answers are computed and labelled: there is nothing in them for a person to check.
                confidence = None if guard.system == OFFLINE else self._confidence_in(parsed.output)
                return Candidate(parsed, model, confidence)
        raise errors.AllCandidatesFailedError(chain, failures)

    async def _ask_one(self, guard: Guard) -> tuple[Parsed, str]:
        """Ask a candidate, and once more if its reply is invalid; return the output and the model's name."""
        question = self.question
        messages, params = question.messages, parameters(guard, question.output_type)
        response = await guard.request(messages, question.settings, params)
        try:
            parsed = self._read(response)
        except errors.TruncatedOutputError:
            raise  # a second reply would be cut off as well
        except errors.InvalidOutputError as error:
            log.info("llm repair", candidate=guard.name, reason=error.reason)
            repair_request = ModelRequest(parts=[UserPromptPart(REPAIR.format(reason=error.reason))])
            messages = guard.prepare_messages([*messages, response, repair_request], params)
            response = await guard.request(messages, question.settings, params)
            parsed = self._read(response)
        return parsed, response.model_name or guard.model_name

    def _read(self, response: ModelResponse) -> Parsed:
        text = response.text or ""
        if response.finish_reason == "length":
            raise errors.TruncatedOutputError(text)
        if response.finish_reason == "content_filter":
            raise errors.TruncatedOutputError(text, "the provider's content filter cut it off")
        return read_text(text, self.question.output_type, self.config.output)

    def _confidence_in(self, output: object) -> float | None:
        confidence = self.judge(output) if self.judge else getattr(output, "confidence", None)
        return float(confidence) if isinstance(confidence, int | float | Decimal) else None

    def _is_doubtful(self, candidate: Candidate) -> bool:
        """Whether the confidence is too low. NaN, or a number above 1, counts as too low."""
        confidence = candidate.confidence
        return confidence is not None and not self.config.escalation.confidence <= confidence <= 1

    async def _ask_stronger_chain(self, candidate: Candidate) -> Candidate:
        """Ask the stronger chain, unless money is short; if it cannot answer, the first output stands."""
        stronger = self.config.escalation.chain
        if not stronger or stronger == self.question.chain or self.call.cheaper_chain:
            return candidate
        try:
            return await self._ask(stronger)
        except (*NO_ANSWER, errors.RefusedError, errors.ConfigError) as error:
            log.warning("llm stronger chain gave no answer", chain=stronger, error=str(error))
            return candidate

    # ---- People ----

    async def _escalate_draft(self, candidate: Candidate) -> Answer[Any]:
        """Queue the question for a person; until they answer, the model's output is a draft."""
        reason = f"confidence {candidate.confidence} is below {self.config.escalation.confidence}"
        draft = write_text(candidate.output, self.question.output_type)
        escalation = await self.stored.ask_person(reason, draft)
        return self._from_model(candidate, escalation_id=escalation, fallback_reason=f"draft: {reason}")

    # ---- The answer ----

    def _from_model(self, candidate: Candidate, **more: Any) -> Answer[Any]:  # noqa: ANN401 - fields of Answer
        self.call.row.model = candidate.model
        known = {"confidence": candidate.confidence, "repairs": candidate.parsed.repairs}
        return self._answer(candidate.output, "model", **known, **more)

    def _answer(self, output: object, source: Source, **more: Any) -> Answer[Any]:  # noqa: ANN401
        row = self.call.row
        row.source, row.confidence, row.repairs = source, more.get("confidence"), "; ".join(more.get("repairs", ()))
        row.response = scrub(write_text(output, self.question.output_type))
        return Answer(output, source, row.model, dollars(row.cost), row.calls, row.id, **more)
