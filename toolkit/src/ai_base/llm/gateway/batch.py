"""Many questions: a bounded number at a time, answers in order, and a file from which an interrupted run resumes."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sized
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from ai_base.llm.configuration.config import Output
from ai_base.llm.errors import ConfigError, LLMError
from ai_base.llm.gateway.answers import Answer
from ai_base.llm.gateway.output import read_text, write_text

type Variables = Mapping[str, object]
type Ask = Callable[[Variables], Awaitable[Answer[Any]]]

LOOKAHEAD = 4
"""Questions in memory, as a multiple of those asked at a time: one slow question does not block the others at once."""


@dataclass(frozen=True)
class BatchItem[T]:
    """The outcome of one question: either `answer` or `error` is set."""

    index: int
    variables: Variables
    answer: Answer[T] | None = None
    error: LLMError | None = None


@dataclass
class Progress:
    """The progress of a batch."""

    total: int | None
    """None if the questions come from an iterator of unknown length."""
    done: int = 0
    failed: int = 0
    resumed: int = 0
    """How many answers came from the file of an earlier run."""
    cost: Decimal = Decimal(0)
    """US dollars, of this run."""

    def __str__(self) -> str:
        of = f" of {self.total}" if self.total is not None else ""
        return f"{self.done}{of} done, {self.failed} failed, {self.resumed} resumed, ${self.cost:.4f}"


class AnswerFile:
    """Answers as JSON lines, each under a key that is equal for equal questions. A cut-off last line is ignored."""

    def __init__(self, path: Path, output_type: Any, settings: Output) -> None:  # noqa: ANN401 - any type form
        self._path, self._output_type, self._settings = path, output_type, settings
        self._lines: dict[str, dict[str, Any]] = {}
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                self._lines[entry["key"]] = entry
            except (ValueError, KeyError, TypeError):
                continue  # the run was killed while it wrote this line
        self._separator = "" if text.endswith("\n") or not text else "\n"

    def find(self, key: str) -> Answer[Any] | None:
        """Return the stored answer, if there is one that fits the output type."""
        if (entry := self._lines.get(key)) is None:
            return None
        try:
            output = read_text(entry["text"], self._output_type, self._settings).output
        except LLMError:
            return None
        return Answer(**{**entry["answer"], "output": output, "cost": Decimal(entry["answer"]["cost"])})

    def add(self, key: str, answer: Answer[Any]) -> None:
        """Append an answer."""
        fields = {**vars(answer), "output": None, "cost": str(answer.cost)}
        entry = {"key": key, "text": write_text(answer.output, self._output_type), "answer": fields}
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{self._separator}{json.dumps(entry)}\n")
            self._separator = ""
        except OSError as error:
            raise ConfigError(str(self._path), error.strerror or str(error)) from error


@dataclass
class Batch:
    """Asks every question of an iterable. Closing the generator cancels the calls in progress."""

    ask: Ask
    questions: Iterable[Variables]
    concurrency: int
    file: AnswerFile | None
    key_of: Callable[[Variables], str]
    on_progress: Callable[[Progress], None] | None
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        self.progress = Progress(len(self.questions) if isinstance(self.questions, Sized) else None)

    async def run(self) -> AsyncGenerator[BatchItem[Any]]:
        """Yield the items in the order of the questions."""
        slots = asyncio.Semaphore(self.concurrency)
        pending: deque[asyncio.Task[BatchItem[Any]]] = deque()
        try:
            for index, variables in enumerate(self.questions):
                pending.append(asyncio.create_task(self._item(index, variables, slots)))
                if len(pending) >= LOOKAHEAD * self.concurrency:
                    yield await pending.popleft()
            while pending:
                yield await pending.popleft()
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _item(self, index: int, variables: Variables, slots: asyncio.Semaphore) -> BatchItem[Any]:
        async with slots:
            item = await self._answer(index, variables)
        self.progress.done += 1
        if self.on_progress:
            self.on_progress(self.progress)
        return item

    async def _answer(self, index: int, variables: Variables) -> BatchItem[Any]:
        try:
            key = self.key_of(variables)
            if self.file and (known := self.file.find(key)):
                self.progress.resumed += 1
                return BatchItem(index, variables, answer=known)
            answer = await self.ask(variables)
        except LLMError as error:
            self.progress.failed += 1
            return BatchItem(index, variables, error=error)
        self.progress.cost += answer.cost
        if self.file and answer.source in ("model", "human") and not answer.escalation_id:  # others are asked again
            self.file.add(key, answer)
        return BatchItem(index, variables, answer=answer)
