"""Recorded replies: a file with a recording of each request, a model that replays them, and one that records."""

import hashlib
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from pydantic_ai.messages import FinishReason, ModelResponse, UserPromptPart
from pydantic_ai.models import Model, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.usage import RequestUsage
from pydantic_core import to_json

from ai_base.llm.candidates.bounds import Messages, Params, Settings
from ai_base.llm.commands.recording import Recording, Turn
from ai_base.llm.configuration.config import Candidate
from ai_base.llm.configuration.prices import price_of
from ai_base.llm.interaction import current_interaction
from ai_base.testing import replay
from ai_base.testing.doubles import Call, Double, Playback, ScriptError, Step
from ai_base.text.scrub import scrub


class MissingReplyError(ScriptError):
    """A request is not recorded; `lines` are its text."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("this request is not recorded")
        self.lines = lines


class Reply(Recording):
    """A recording of one request; its last turn is the reply. The facts are those of the day of the recording."""

    model: str = ""
    """As the provider reports it."""
    version: str = ""
    """Of the prompt."""
    finish_reason: FinishReason | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    """Nanodollars."""
    duration: float = 0.0
    """Seconds."""

    @property
    def request(self) -> list[str]:
        """The lines of the request."""
        return replay.request_lines(self.turns[:-1])


@dataclass
class CaseLog:
    """What the models of a recorded run gave to one case."""

    replies: list[Reply] = field(default_factory=list)
    missing: MissingReplyError | None = None
    """The first request that is not recorded, even where the code under evaluation swallowed the error."""


case_log: ContextVar[CaseLog] = ContextVar("case_log")
"""The log of the case in this task."""


class ReplyFile:
    """Replies as JSON lines, appended as they come. A line that was cut off, or is of another kind, is ignored."""

    def __init__(self, *paths: Path) -> None:
        """Read files. What is added goes to the last one."""
        self._path = paths[-1]
        self.replies: dict[str, Reply] = {}
        for path in paths:
            for line in path.read_bytes().split(b"\n") if path.exists() else ():
                with suppress(ValidationError):  # the run was killed while it wrote this line
                    self._keep(Reply.model_validate_json(line))

    def _keep(self, reply: Reply) -> None:
        self.replies[replay.request_key(reply.request)] = reply

    def add(self, reply: Reply) -> None:
        """Append a reply, scrubbed; of two replies to the same request, the later one counts."""
        line = scrub(reply.model_dump_json(exclude_defaults=True))
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")  # the line before may be cut off
        self._keep(Reply.model_validate_json(line))

    def keep_only(self, replies: Iterable[Reply]) -> None:
        """Write the file anew with these replies, each once and in this order."""
        lines = dict.fromkeys(reply.model_dump_json(exclude_defaults=True) for reply in replies)
        self._path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def request_turns(call: Call, candidate: Candidate) -> list[Turn]:
    """Return a request as it is recorded: what else decides about the reply, then the conversation."""
    row, output = current_interaction().row, call.parameters.output_object
    facts = f"version {row.prompt_version}\nschema {_digest(output.json_schema if output else None)}"
    facts += f"\nmodel {candidate.model}\ntemperature {candidate.temperature}"
    prompts = [part for message in call.messages for part in message.parts if isinstance(part, UserPromptPart)]
    if attached := [part.content for part in prompts if not isinstance(part.content, str)]:
        facts += f"\nattachments {_digest(attached)}"  # the conversation has their kinds only
    return [Turn(role="prompt", tool=row.prompt, text=facts), *replay.request_turns(call)]


def _digest(value: object) -> str:
    return hashlib.sha256(to_json(value, bytes_mode="base64")).hexdigest()[:12]


class ReplayingModel(Double):
    """Gives each recorded request its reply, and raises `MissingReplyError` for any other."""

    def __init__(self, file: ReplyFile, candidate: Candidate) -> None:
        super().__init__("recorded")
        self._file, self._candidate = file, candidate

    def _step(self, call: Call) -> Step:
        lines = replay.request_lines(request_turns(call, self._candidate))
        if (reply := self._file.replies.get(replay.request_key(lines))) is None:
            missing = case_log.get().missing = MissingReplyError(lines)
            raise missing
        case_log.get().replies.append(reply)
        response = replay.response_of(reply.turns[-1])
        response.model_name, response.finish_reason = reply.model, reply.finish_reason or response.finish_reason
        response.usage = RequestUsage(input_tokens=reply.input_tokens, output_tokens=reply.output_tokens)
        return Step(response)


class RecordingModel(WrapperModel):
    """Asks a candidate, and records its replies."""

    def __init__(self, wrapped: Model, file: ReplyFile, candidate: Candidate) -> None:
        super().__init__(wrapped)
        self._file, self._candidate = file, candidate

    async def request(self, messages: Messages, settings: Settings, params: Params) -> ModelResponse:
        """Ask, and record the reply. Raises as the candidate does."""
        turns, started = request_turns(Call(messages, settings, params), self._candidate), time.perf_counter()
        response = await super().request(messages, settings, params)
        row, usage, cost = current_interaction().row, response.usage, 0
        if price := price_of(self._candidate.model, self._candidate.price):
            with suppress(ValueError, ArithmeticError):  # a report that contradicts itself
                cost = price.cost(usage)
        turns += replay.message_turns(response)
        recorded = Reply(kind="question", prompt=row.prompt, chain=row.chain, answer="", turns=turns, cost=cost)
        recorded.model, recorded.version = response.model_name or self.model_name, row.prompt_version
        recorded.finish_reason, recorded.duration = response.finish_reason, round(time.perf_counter() - started, 3)
        recorded.input_tokens, recorded.output_tokens = usage.input_tokens, usage.output_tokens
        self._file.add(recorded)
        return response

    @asynccontextmanager
    async def request_stream(
        self, messages: Messages, settings: Settings, params: Params, run_context: object = None
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask, record the whole reply, and stream that."""
        del run_context
        yield Playback(await self.request(messages, settings, params), Call(messages, settings, params))
