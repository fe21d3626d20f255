"""The one front door for every AI call."""

import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, overload

import structlog
from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse

from ..scrub import scrub
from .answers import Answer, type_named
from .chain import Candidates, ChainModel
from .clean import Cleaner
from .config import Config, parse_config
from .errors import LedgerError, RefusedError
from .interaction import Running, running, under_way
from .ledger import Ledger
from .prompts import Prompts
from .providers import http_client
from .question import Question
from .records import Interaction, told
from .watched import Watched

log = structlog.get_logger(__name__)


class Gateway:
    """Asks models, within limits that hold. It belongs to the event loop in which it was opened."""

    def __init__(self, config: Callable[[], Config], prompts: Prompts, ledger: Ledger, candidates: Candidates) -> None:
        self._config = config
        self._prompts = prompts
        self._candidates = candidates
        self.ledger = ledger

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        config: str | Path | Mapping[str, object] = "config/llm.toml",
        prompts: str | Path = "config/prompts",
        database_url: str = "sqlite:///ledger.db",
        models: Mapping[str, Model] | None = None,
    ) -> AsyncIterator[Self]:
        """Open the ledger and make ready every candidate, so that the first call waits for nothing.

        `config` is a file, watched for edits, or what one would hold. `models` replaces candidates by doubles.

        Raises:
            ConfigError: The configuration was never sound.
            LedgerError: The database is out of reach, or of another version.
        """
        if isinstance(config, Mapping):
            fixed = parse_config(config)
            current: Callable[[], Config] = lambda: fixed  # noqa: E731
        else:
            path = Path(config)
            current = Watched(path, lambda text: parse_config(text, path)).current
        current()
        ledger = Ledger.open(database_url)
        try:
            async with http_client() as client:
                candidates = Candidates(current, ledger, client, models or {})
                for chain in current().chains:
                    candidates.chain(chain)
                yield cls(current, Prompts(Path(prompts)), ledger, candidates)
        finally:
            ledger.close()

    @overload
    async def ask[T](
        self,
        prompt: str,
        variables: Mapping[str, object],
        *,
        output_type: type[T],
        cost_center: str | None = None,
        user: str | None = None,
        chain: str | None = None,
        confidence: Callable[[T], float] | None = None,
        fallback: Callable[[], T] | None = None,
        human: bool = False,
    ) -> Answer[T]: ...
    @overload
    async def ask(
        self,
        prompt: str,
        variables: Mapping[str, object],
        *,
        cost_center: str | None = None,
        user: str | None = None,
        chain: str | None = None,
        confidence: Callable[[str], float] | None = None,
        fallback: Callable[[], str] | None = None,
        human: bool = False,
    ) -> Answer[str]: ...
    async def ask(  # noqa: D417, PLR0913 - the names tell the rest
        self,
        prompt: str,
        variables: Mapping[str, object],
        *,
        output_type: type = str,
        cost_center: str | None = None,
        user: str | None = None,
        chain: str | None = None,
        confidence: Callable[..., float] | None = None,
        fallback: Callable[[], object] | None = None,
        human: bool = False,
    ) -> Answer[object]:
        """Fill in a prompt, ask its chain, and return an answer that is validated and clean.

        Args:
            output_type: A Pydantic model, or `str`.
            confidence: How sure the output is, 0 to 1; by default its field `confidence`, if it has one.
            fallback: Makes a simple answer when no model can give one.
            human: Whether the question may wait for a person when nobody else can answer.

        Raises:
            RefusedError: A limit of ours would be passed; nothing was spent on it.
            AllCandidatesFailedError: No candidate gave a usable answer, and there is no other way to one.
            AwaitingHumanError: The question waits for a person.
            LLMError: As `errors` lists them.
        """
        async with self.interaction(prompt, cost_center=cost_center, user=user) as call:
            question = self._question(call, prompt, variables, output_type, chain, confidence)
            return await question.answer(fallback, human=human)

    def model(self, chain: str = "default") -> Model:
        """Return a chain as a model for an agent, under the same guards.

        Wrap a run in `interaction()`, so that all its calls count as one interaction.
        """
        return ChainModel(self._candidates, chain, self._join, lambda: self._config().input.max_bytes)

    async def replay(self, interaction_id: str) -> tuple[Interaction, Answer[object]]:
        """Ask again what an interaction asked (scrubbed, as the ledger has it), of the chain as it is now.

        Returns what was recorded, and the new answer. Raises as `ask`; LedgerError where there is no such interaction.
        """
        recorded, _ = await self.ledger.call(self.ledger.interaction, interaction_id)
        output_type = type_named(recorded.output_type)
        async with self.interaction(recorded.prompt, cost_center=recorded.cost_center, user=recorded.user) as call:
            prompt, variables = self._prompts[recorded.prompt].recorded(), {"recorded": recorded.request}
            parts = (self._config(), self._candidates, self.ledger, call, prompt, variables)
            return recorded, await Question(*parts, output_type, recorded.chain).answer(None, human=False)

    @asynccontextmanager
    async def stream(
        self,
        prompt: str,
        variables: Mapping[str, object],
        *,
        cost_center: str | None = None,
        user: str | None = None,
        chain: str | None = None,
    ) -> AsyncIterator[AsyncIterator[str]]:
        """Ask for text and yield it, cleaned, as it comes.

        Raises as `ask`; a candidate that fails when text has come is not replaced by the next one.
        """
        async with self.interaction(prompt, cost_center=cost_center, user=user) as call:
            question = self._question(call, prompt, variables, str, chain)
            model = ChainModel(self._candidates, question.chain, self._join, lambda: sys.maxsize)  # it fits already
            async with model.request_stream(question.messages, question.settings, ModelRequestParameters()) as raw:
                yield self._chunks(raw, call)

    def _question(  # noqa: PLR0913, PLR0917 - the arguments of `ask`
        self,
        call: Running,
        prompt: str,
        variables: Mapping[str, object],
        output_type: type,
        chain: str | None,
        judge: Callable[..., float] | None = None,
    ) -> Question:
        found = self._prompts[prompt]
        parts = (self._config(), self._candidates, self.ledger, call, found, variables)
        return Question(*parts, output_type, chain or "", judge)

    async def _chunks(self, raw: StreamedResponse, call: Running) -> AsyncIterator[str]:
        cleaner = Cleaner(self._config().output.html)
        said = ""
        try:
            async for event in raw:
                delta = ""
                if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                    delta = event.part.content
                elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                    delta = event.delta.content_delta
                call.remaining()
                if text := cleaner.feed(delta):
                    said += text
                    yield text
            if text := cleaner.close():
                said += text
                yield text
        finally:
            call.row.response, call.row.source, call.row.model = scrub(said), "model", raw.model_name

    @asynccontextmanager
    async def interaction(
        self, name: str, *, cost_center: str | None = None, user: str | None = None, deadline: float | None = None
    ) -> AsyncIterator[Running]:
        """Hold everything that is asked inside to the caps of one interaction, and to a deadline in seconds."""
        call = Running.start(self._config(), name, cost_center, user, deadline)
        running.set(call)
        row = call.row
        start = time.perf_counter()
        try:
            yield call
            row.status = "ok"
        except BaseException as error:
            row.status = "refused" if isinstance(error, RefusedError) and not row.cost else "failed"
            row.error = scrub(f"{type(error).__name__}: {error}")
            raise
        finally:
            call.over = True
            if running.get() is call:  # an agent's stream may be closed in another context
                running.set(call.outer)
            row.latency_ms = round((time.perf_counter() - start) * 1000, 3)
            log.info("llm interaction", **told(row))
            await self._record(call)

    @asynccontextmanager
    async def _join(self) -> AsyncIterator[Running]:
        if (call := under_way()) is not None:
            yield call
        else:
            async with self.interaction("") as call:
                yield call

    async def _record(self, call: Running) -> None:
        try:
            await self.ledger.call(self.ledger.record, call.row, call.answer)
        except LedgerError as error:
            log.error("llm interaction not recorded", error=str(error), interaction=call.row.id)  # noqa: TRY400
            if self._config().budgets.when_ledger_fails == "refuse":
                raise
