"""The front door for every AI call."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self, Unpack

import typing_extensions
from anyio.from_thread import start_blocking_portal
from pydantic_ai.messages import MultiModalContent
from pydantic_ai.models import Model

from ai_base.llm.candidates.chain import Candidates, ChainModel
from ai_base.llm.candidates.transport import http_client
from ai_base.llm.configuration.config import Config
from ai_base.llm.configuration.parse import follow_config
from ai_base.llm.configuration.prompts import Prompt, Prompts
from ai_base.llm.gateway.agent_model import AgentModel
from ai_base.llm.gateway.answering import Answering
from ai_base.llm.gateway.answers import Answer, cache_key
from ai_base.llm.gateway.batch import AnswerFile, Batch, BatchItem, Progress, Variables
from ai_base.llm.gateway.cap_monitor import BudgetStatus, CapMonitor
from ai_base.llm.gateway.interactions import Interactions
from ai_base.llm.gateway.output import parameters, type_named
from ai_base.llm.gateway.question import Question, render
from ai_base.llm.gateway.streaming import stream_object, stream_text
from ai_base.llm.interaction import ActiveInteraction, Attribution
from ai_base.llm.ledger.counters import CapUsage
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import Interaction
from ai_base.llm.settings import LLMSettings
from ai_base.settings import load_settings

T = typing_extensions.TypeVar("T", default=str)  # `typing` has defaults from Python 3.13 on


class Gateway:
    """Asks models within limits. It belongs to the event loop in which it was opened."""

    def __init__(
        self,
        config: Callable[[], Config],
        prompts: Prompts,
        ledger: Ledger,
        candidates: Candidates,
        on_budget_warning: Callable[[CapUsage], None] | None = None,
    ) -> None:
        self._config, self.prompts, self.ledger, self._candidates = config, prompts, ledger, candidates
        self._monitor = CapMonitor(config, ledger, on_budget_warning)
        self._interactions = Interactions(config, ledger, self._monitor)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        config: str | Path | Mapping[str, object] | Config | None = None,
        prompts: str | Path | None = None,
        database_url: str | None = None,
        models: Mapping[str, Model] | None = None,
        on_budget_warning: Callable[[CapUsage], None] | None = None,
    ) -> AsyncIterator[Self]:
        """Open the ledger and build every candidate, so that the first call waits for nothing.

        What is not given comes from the project's settings (see `LLMSettings`): the environment, then `.env`.
        `config` is a file, which is read again after an edit, a mapping, or a `Config`.
        `models` replaces candidates by doubles.
        `on_budget_warning` is called once per cap and period when the share `warn_at` of the cap is used.

        Raises:
            ConfigError: The configuration is invalid.
            LedgerError: The database cannot be reached, or was made by a newer version.
        """
        settings = load_settings(LLMSettings)
        config = settings.config_file if config is None else config
        prompts = settings.prompts_folder if prompts is None else prompts
        current = follow_config(config)
        ledger = await Ledger.open(database_url or settings.ledger_url)
        try:
            async with http_client() as client:
                candidates = Candidates(current, ledger, client, models or {})
                for chain in current().chains:
                    candidates.chain(chain)
                yield cls(current, Prompts(Path(prompts)), ledger, candidates, on_budget_warning)
        finally:
            await ledger.close()

    @classmethod
    @contextmanager
    def open_blocking(cls, **options: Any) -> Iterator[Callable[..., Answer[Any]]]:  # noqa: ANN401 - as `open` has them
        """Yield an `ask` for code that does not await; it may be called from any thread."""
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(cls.open(**options)) as gateway:
            yield lambda *args, **kwargs: portal.call(partial(gateway.ask, *args, **kwargs))

    # ---- One question ----

    async def ask(  # noqa: PLR0913
        self,
        prompt: str,
        variables: Mapping[str, object],
        *,
        output_type: type[T] = str,  # type: ignore[assignment]  # the default of T
        attachments: Sequence[MultiModalContent] = (),
        chain: str = "",
        confidence: Callable[[T], float] | None = None,
        fallback: Callable[[], T] | None = None,
        human: bool = False,
        **attribution: Unpack[Attribution],
    ) -> Answer[T]:
        """Render a prompt, ask its chain, and return a validated and cleaned answer.

        Args:
            prompt: Name of the prompt file, without `.md`.
            variables: The prompt's variables.
            output_type: `str`, a Pydantic model, or any type that Pydantic validates, such as `list[int]`.
            attachments: Pictures and files: pydantic-ai's `BinaryContent(data, media_type=...)`, `ImageUrl(url)`, ...
                The candidate needs a known context window, which bounds their cost.
            chain: The chain to ask instead of the prompt's own.
            confidence: Returns how sure an output is, 0 to 1. Default: the output's field `confidence`, if it has one.
            fallback: Returns a simple answer if no model gives one.
            human: Whether the question may wait for a person if nothing else gives an answer.
            attribution: `cost_center` and `user`; by default those of the `attributed_to` or interaction around it.

        Raises:
            RefusedError: The call would exceed a limit. It was not made.
            AllCandidatesFailedError: No candidate gave a usable answer, and nothing else did.
            AwaitingHumanError: The question waits for a person.
            LLMError: See `errors` for the others.
        """
        async with self.interaction(prompt, **attribution) as call:
            asked = call.cheaper_chain or chain
            question = self._question(self.prompts[prompt], variables, output_type, attachments, asked)
            answering = Answering(self._config(), self._candidates, self.ledger, call, question, confidence)
            return await answering.answer(fallback, human=human)

    async def ask_many(  # noqa: PLR0913
        self,
        prompt: str,
        questions: Iterable[Variables],
        *,
        output_type: type[T] = str,  # type: ignore[assignment]  # the default of T
        concurrency: int = 10,
        resume: str | Path | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        **options: Any,  # noqa: ANN401 - as `ask` has them
    ) -> AsyncGenerator[BatchItem[T]]:
        """Ask a prompt with many sets of variables; yield answers and errors in the order of the questions.

        Args:
            prompt: Name of the prompt file.
            questions: Sets of variables; an iterator is read only as fast as questions are answered.
            output_type: As in `ask`.
            concurrency: Questions asked at a time.
            resume: A file to which every answer is appended. A later call with the same file asks only the questions
                that are not in it. It holds answers as they are, unlike the ledger, which scrubs them.
            on_progress: Called after each question.
            options: Further options of `ask`.
        """
        chain, file = options.get("chain", ""), None
        if resume is not None:
            file = AnswerFile(Path(resume), output_type, self._config().output)

        def key_of(variables: Variables) -> str:
            return self._key(self._question(self.prompts[prompt], variables, output_type, (), chain))

        async def ask(variables: Variables) -> Answer[T]:
            return await self.ask(prompt, variables, output_type=output_type, **options)

        async with aclosing(Batch(ask, questions, concurrency, file, key_of, on_progress).run()) as items:
            async for item in items:
                yield item

    @asynccontextmanager
    async def stream(
        self,
        prompt: str,
        variables: Mapping[str, object],
        *,
        output_type: Any = str,  # noqa: ANN401 - any type form
        attachments: Sequence[MultiModalContent] = (),
        chain: str = "",
        **attribution: Unpack[Attribution],
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """Ask for a stream of cleaned text, or of snapshots of an object, the last of which is the validated output.

        Raises as `ask`. A candidate that fails after the stream has begun is not replaced by the next one.
        """
        async with self.interaction(prompt, **attribution) as call:
            asked = call.cheaper_chain or chain
            question = self._question(self.prompts[prompt], variables, output_type, attachments, asked)
            answering = Answering(self._config(), self._candidates, self.ledger, call, question)
            params = parameters(self._candidates.chain(question.chain)[0], output_type)
            model = ChainModel(self._candidates, question.chain, self._interactions.join)
            async with model.request_stream(question.messages, question.settings, params) as raw:
                if output_type is str:
                    yield stream_text(raw, call, answering.config.output)
                else:
                    yield stream_object(raw, call, output_type, answering.config.output)

    async def replay(self, interaction_id: str) -> tuple[Interaction, Answer[Any]]:
        """Ask again what an interaction asked (scrubbed, as recorded), with the current configuration.

        Returns the record and the new answer. Raises as `ask`; LedgerError if there is no such interaction.
        """
        recorded, _ = await self.ledger.interaction(interaction_id)
        prompt, variables = self.prompts[recorded.prompt].recorded(), {"recorded": recorded.request}
        async with self.interaction(recorded.prompt, cost_center=recorded.cost_center, user=recorded.user) as call:
            question = self._question(prompt, variables, type_named(recorded.output_type), (), recorded.chain)
            answering = Answering(self._config(), self._candidates, self.ledger, call, question)
            return recorded, await answering.answer(None, human=False)

    def _question(
        self,
        prompt: Prompt,
        variables: Mapping[str, object],
        output_type: Any,  # noqa: ANN401
        attachments: Sequence[MultiModalContent],
        chain: str,
    ) -> Question:
        text = render(prompt, variables, self._config().input)
        return Question(prompt, text, attachments, output_type, chain or prompt.settings.chain)

    def _key(self, question: Question) -> str:
        return cache_key(question, self._candidates.chain(question.chain))

    async def budget(self, cost_center: str = "default", user: str = "") -> list[BudgetStatus]:
        """Return the usage of each cap of a cost centre and a user, and how fast it grows.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        return await self._monitor.status(cost_center, user)

    @property
    def candidates(self) -> Candidates:
        """The candidates, their configuration and their ledger, to guard calls that are not questions."""
        return self._candidates

    # ---- Agents, and interactions of several calls ----

    def model(self, chain: str = "default") -> Model:
        """Return a chain as a model for an agent. Each run is one interaction, with its caps and its own row."""
        return AgentModel(self._candidates, chain, self._interactions.join, lambda: self._config().output.html)

    def interaction(
        self, name: str, *, deadline: float | None = None, **attribution: Unpack[Attribution]
    ) -> AbstractAsyncContextManager[ActiveInteraction]:
        """Apply the caps of one interaction, and a deadline in seconds, to everything that is asked inside."""
        return self._interactions.start(name, deadline=deadline, **attribution)
