"""The one front door for every AI call."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self, Unpack

import structlog
import typing_extensions
from anyio.from_thread import start_blocking_portal
from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse

from ai_base.llm.candidates.chain import Candidates, ChainModel
from ai_base.llm.candidates.providers import http_client
from ai_base.llm.configuration.config import Config
from ai_base.llm.configuration.parse import parse_config
from ai_base.llm.configuration.prompts import Prompt, Prompts
from ai_base.llm.configuration.watched_file import Watched
from ai_base.llm.errors import LedgerError, RefusedError
from ai_base.llm.gateway.answers import Answer, type_named
from ai_base.llm.gateway.question import Question
from ai_base.llm.interaction import ActiveInteraction, Attribution, find_interaction
from ai_base.llm.ledger.database import surely
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import Interaction, told
from ai_base.llm.settings import LLMSettings
from ai_base.settings import load_settings
from ai_base.text.clean import Cleaner
from ai_base.text.scrub import scrub

log = structlog.get_logger(__name__)

T = typing_extensions.TypeVar("T", default=str)  # a default: news to `typing` of Python 3.12


class Gateway:
    """Asks models, within limits that hold. It belongs to the event loop in which it was opened."""

    def __init__(self, config: Callable[[], Config], prompts: Prompts, ledger: Ledger, candidates: Candidates) -> None:
        self._config, self._prompts, self.ledger, self._candidates = config, prompts, ledger, candidates

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        config: str | Path | Mapping[str, object] | None = None,
        prompts: str | Path | None = None,
        database_url: str | None = None,
        models: Mapping[str, Model] | None = None,
    ) -> AsyncIterator[Self]:
        """Open the ledger and make ready every candidate, so that the first call waits for nothing.

        What is not given comes from the project's settings (see `LLMSettings`): the environment, then `.env`.
        `config` is a file, watched for edits, or the content of one. `models` replaces candidates by doubles.

        Raises:
            ConfigError: The configuration was never sound.
            LedgerError: The database is out of reach, or of another version.
        """
        settings = load_settings(LLMSettings)
        config = settings.config_file if config is None else config
        prompts = settings.prompts_folder if prompts is None else prompts
        if isinstance(config, Mapping):
            fixed = parse_config(config)
            current: Callable[[], Config] = lambda: fixed  # noqa: E731
        else:
            current = Watched(Path(config), partial(parse_config, path=config)).current
        current()
        ledger = await Ledger.open(database_url or settings.ledger_url)
        try:
            async with http_client() as client:
                candidates = Candidates(current, ledger, client, models or {})
                for chain in current().chains:
                    candidates.chain(chain)
                yield cls(current, Prompts(Path(prompts)), ledger, candidates)
        finally:
            await ledger.close()

    @classmethod
    @contextmanager
    def open_blocking(cls, **options: Any) -> Iterator[Callable[..., Answer[Any]]]:  # noqa: ANN401 - as `open` has them
        """Yield an `ask` for code that does not await, such as a script; a thread of its own awaits."""
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(cls.open(**options)) as gateway:
            yield lambda *args, **kwargs: portal.call(partial(gateway.ask, *args, **kwargs))

    async def ask(  # noqa: D417, PLR0913 - the names tell the rest
        self,
        prompt: str,
        variables: Mapping[str, object],
        *,
        output_type: type[T] = str,  # type: ignore[assignment]  # the default of T
        chain: str = "",
        confidence: Callable[[T], float] | None = None,
        fallback: Callable[[], T] | None = None,
        human: bool = False,
        **attribution: Unpack[Attribution],
    ) -> Answer[T]:
        """Fill in a prompt, ask its chain, and return an answer that is validated and clean.

        Args:
            output_type: A Pydantic model, or `str`.
            chain: Whom to ask, if not the prompt's own chain.
            confidence: How sure the output is, 0 to 1; by default its field `confidence`, if it has one.
            fallback: Makes a simple answer when no model can give one.
            human: Whether the question may wait for a person when nobody else can answer.
            attribution: `cost_center` and `user`; by default those of the `attributed_to` or interaction around it.

        Raises:
            RefusedError: A limit of ours would be passed; nothing was spent on it.
            AllCandidatesFailedError: No candidate gave a usable answer, and there is no other way to one.
            AwaitingHumanError: The question waits for a person.
            LLMError: As `errors` lists them.
        """
        async with self.interaction(prompt, **attribution) as call:
            question = self._question(call, self._prompts[prompt], variables, output_type, chain, confidence)
            return await question.answer(fallback, human=human)

    def model(self, chain: str = "default") -> Model:
        """Return a chain as a model for an agent, under the same guards.

        Wrap a run in `interaction()`, so that all its calls count as one interaction.
        """
        return ChainModel(self._candidates, chain, self._join)

    async def replay(self, interaction_id: str) -> tuple[Interaction, Answer[Any]]:
        """Ask again what an interaction asked (scrubbed, as the ledger has it), of the chain as it is now.

        Returns what was recorded, and the new answer. Raises as `ask`; LedgerError where there is no such interaction.
        """
        recorded, _ = await self.ledger.interaction(interaction_id)
        prompt, variables = self._prompts[recorded.prompt].recorded(), {"recorded": recorded.request}
        async with self.interaction(recorded.prompt, cost_center=recorded.cost_center, user=recorded.user) as call:
            question = self._question(call, prompt, variables, type_named(recorded.output_type), recorded.chain)
            return recorded, await question.answer(None, human=False)

    @asynccontextmanager
    async def stream(
        self, prompt: str, variables: Mapping[str, object], *, chain: str = "", **attribution: Unpack[Attribution]
    ) -> AsyncIterator[AsyncIterator[str]]:
        """Ask for text and yield it, cleaned, as it comes.

        Raises as `ask`; a candidate that fails when text has come is not replaced by the next one.
        """
        async with self.interaction(prompt, **attribution) as call:
            question = self._question(call, self._prompts[prompt], variables, str, chain)
            request = (question.messages, question.settings, ModelRequestParameters())
            async with self.model(question.chain).request_stream(*request) as raw:
                yield self._chunks(raw, call)

    def _question(
        self,
        call: ActiveInteraction,
        prompt: Prompt,
        variables: Mapping[str, object],
        *given: Any,  # noqa: ANN401
    ) -> Question:
        return Question(self._config(), self._candidates, self.ledger, call, prompt, variables, *given)

    async def _chunks(self, raw: StreamedResponse, call: ActiveInteraction) -> AsyncIterator[str]:
        cleaner, said = Cleaner(self._config().output.html), ""
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
        self, name: str, *, deadline: float | None = None, **attribution: Unpack[Attribution]
    ) -> AsyncIterator[ActiveInteraction]:
        """Hold everything that is asked inside to the caps of one interaction, and to a deadline in seconds."""
        call = ActiveInteraction.start(self._config(), name, deadline, **attribution)
        start = time.perf_counter()
        try:
            yield call
            call.row.status = "ok"
        except BaseException as error:
            call.row.status = "refused" if isinstance(error, RefusedError) and not call.row.cost else "failed"
            call.row.error = scrub(f"{type(error).__name__}: {error}")
            raise
        finally:
            call.end()
            call.row.latency_ms = round((time.perf_counter() - start) * 1000, 3)
            log.info("llm interaction", **told(call.row))
            await surely(self._record(call))

    @asynccontextmanager
    async def _join(self) -> AsyncIterator[ActiveInteraction]:
        if (call := find_interaction()) is not None:
            yield call
        else:
            async with self.interaction("") as call:
                yield call

    async def _record(self, call: ActiveInteraction) -> None:
        try:
            await self.ledger.record(call.row, call.answer)
        except LedgerError as error:
            log.error("llm interaction not recorded", error=str(error), interaction=call.row.id)  # noqa: TRY400
            if self._config().budgets.when_ledger_fails == "refuse" and call.row.status == "ok":
                raise
