"""Replays a recorded interaction: a model that gives the recorded reply to each recorded request, and to no other.

`replay ID --as-test` writes recordings from the ledger. Requests are matched by their text, scrubbed as in the ledger,
without ids and times. A request that was not recorded fails the test and shows how it differs from the nearest.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from difflib import SequenceMatcher, unified_diff
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self

from pydantic_ai import Tool
from pydantic_ai.messages import ModelMessage, ModelResponse, SystemPromptPart, TextPart, ToolCallPart, ToolReturnPart
from pydantic_core import from_json, to_json

from ai_base.llm.commands.recording import Recording, ToolCall, Turn
from ai_base.llm.configuration.parse import follow_config
from ai_base.llm.gateway.gateway import Gateway
from ai_base.llm.ledger.records import Interaction, new_id, now
from ai_base.llm.settings import LLMSettings
from ai_base.settings import load_settings
from ai_base.testing.doubles import Call, Double, ScriptError, Step


class ReplayModel(Double):
    """Answers the requests of a recording. `check` fails if one of them was not made."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        super().__init__("replay")
        self._requests: dict[str, list[str]] = {}
        self._replies: dict[str, Turn] = {}
        for end, turn in enumerate(turns):
            if turn.role == "model":
                lines = request_lines(turns[:end])
                self._requests[request_key(lines)], self._replies[request_key(lines)] = lines, turn
        self._missing = set(self._replies)

    def _step(self, call: Call) -> Step:
        lines = request_lines(request_turns(call))
        if (reply := self._replies.get(request_key(lines))) is None:
            difference = difference_to_nearest(self._requests.values(), lines)
            raise ScriptError(f"{self._name}: this request was not recorded.\n{difference}")
        self._missing.discard(request_key(lines))
        return Step(response_of(reply))

    def check(self) -> None:
        """Raise what went wrong, even where it was swallowed; a recorded request that was not made, too."""
        super().check()
        for key in self._missing:
            request = "\n".join(self._requests[key])
            raise ScriptError(
                f"{self._name}: {len(self._missing)} recorded requests were not made; one of them:\n{request}"
            )


class Replay:
    """A recording, and what a test needs to replay it."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.model = ReplayModel(recording.turns)
        self.answer = recording.answer

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a recording that `replay ID --as-test` wrote."""
        return cls(Recording.model_validate_json(path.read_text(encoding="utf-8")))

    @asynccontextmanager
    async def open_gateway(self) -> AsyncIterator[Gateway]:
        """Open the project's gateway; the recording replaces every candidate, and the ledger is a temporary one.

        Raises:
            ScriptError: When the context ends: the requests are not those that were recorded.
        """
        config = follow_config(load_settings(LLMSettings).config_file)()
        models = dict.fromkeys(config.candidates, self.model)
        with TemporaryDirectory() as folder, self.model:
            async with Gateway.open(models=models, database_url=f"sqlite:///{folder}/ledger.db") as gateway:
                yield gateway

    async def ask(self) -> str:
        """Ask the recorded question, and return the answer as the ledger has it."""
        recorded = Interaction(new_id(), now(), self._recording.prompt, "recorded", self._recording.chain)
        recorded.output_type, recorded.request = self._recording.output_type, self.question
        async with self.open_gateway() as gateway:
            await gateway.ledger.record(recorded)
            _, answer = await gateway.replay(recorded.id)
            repeated, _ = await gateway.ledger.interaction(answer.interaction_id)
        return repeated.response

    # ---- Agents ----

    @property
    def question(self) -> str:
        """What was asked."""
        return self._text("user")

    @property
    def instructions(self) -> str:
        """The agent's instructions."""
        return self._text("system")

    @property
    def limits(self) -> dict[str, int]:
        """Limits that allow exactly what was recorded."""
        roles = [turn.role for turn in self._recording.turns]
        calls = sum(len(turn.calls) for turn in self._recording.turns)
        return {"max_steps": roles.count("model"), "max_tool_calls": calls, "observation_characters": 10**9}

    def tools(self) -> list[Tool[Any]]:
        """Return the agent's tools: they take what the model gave them, and return what was recorded."""
        results: dict[str, list[str]] = defaultdict(list)
        calls: list[ToolCall] = []
        for turn in self._recording.turns:
            if turn.role == "model":
                calls = list(turn.calls)
            elif turn.role == "tool":
                results[_call_text(calls.pop(0))].append(turn.text)
        definitions = from_json(self._text("tools") or "[]")
        return [
            Tool.from_schema(_recorded_tool(name, results), name, description, schema)
            for name, description, schema in definitions
        ]

    def _text(self, role: str) -> str:
        return next((turn.text for turn in self._recording.turns if turn.role == role), "")


def _recorded_tool(name: str, results: dict[str, list[str]]) -> Callable[..., Any]:
    async def tool(**arguments: object) -> str:
        """Return what was recorded for these arguments, the next result each time."""
        call = _call_text(ToolCall(tool=name, arguments=to_json(arguments).decode()))
        if not results[call]:
            raise ScriptError(f"no result was recorded for {call}")
        return results[call].pop(0)

    return tool


# ---- The text of a request ----


def request_turns(call: Call) -> Iterator[Turn]:
    """Yield the turns of a conversation that was sent to a model: tools, instructions, then its messages."""
    if tools := call.parameters.function_tools:
        definitions = [[tool.name, tool.description, tool.parameters_json_schema] for tool in tools]
        yield Turn(role="tools", text=to_json(definitions).decode())
    for part in call.parameters.instruction_parts or ():
        yield Turn(role="system", text=part.content)
    for message in call.messages:
        yield from message_turns(message)


def message_turns(message: ModelMessage) -> Iterator[Turn]:
    """Yield the turns of a message: one of a response, one for each part of a request."""
    if isinstance(message, ModelResponse):
        calls = [ToolCall(tool=call.tool_name, arguments=_arguments(call)) for call in message.tool_calls]
        yield Turn(role="model", text=message.text or "", calls=calls)
        return
    for part in message.parts:
        if isinstance(part, ToolReturnPart):
            yield Turn(role="tool", tool=part.tool_name, text=_text(part.content))
        else:
            role: Literal["system", "user"] = "system" if isinstance(part, SystemPromptPart) else "user"
            yield Turn(role=role, text=_text(getattr(part, "content", "")))


def _arguments(call: ToolCallPart) -> str:
    return call.args if isinstance(call.args, str) else to_json(call.args or {}).decode()


def _text(content: object) -> str:
    """Return a text; of several contents, the text and the kinds of the attachments, as the ledger has it."""
    if isinstance(content, str) or not isinstance(content, Sequence):
        return str(content)
    return "\n".join(
        each if isinstance(each, str) else f"[attachment: {each.kind}, {each.media_type}]" for each in content
    )


def request_lines(turns: Iterable[Turn]) -> list[str]:
    """Write a conversation, whose turns are scrubbed, as lines; the keys of JSON are sorted."""
    lines = []
    for turn in turns:
        text = _sorted_json(turn.text) if turn.role == "tools" else turn.text
        lines += [f"[{turn.role}{' ' if turn.tool else ''}{turn.tool}]", *text.splitlines()]
        lines += map(_call_text, turn.calls)
    return lines


def _call_text(call: ToolCall) -> str:
    return f"{call.tool} {_sorted_json(call.arguments, indent=None)}"


def _sorted_json(text: str, indent: int | None = 1) -> str:
    try:
        return json.dumps(from_json(text), sort_keys=True, indent=indent, ensure_ascii=False)
    except ValueError:
        return text


def request_key(lines: Sequence[str]) -> str:
    """Return what is equal for equal requests."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def difference_to_nearest(recorded: Iterable[list[str]], lines: list[str]) -> str:
    """Return the difference between a request and the recorded one that is most like it."""
    nearest = max(
        recorded, key=lambda request: SequenceMatcher(None, request, lines, autojunk=False).ratio(), default=[]
    )
    return "\n".join(unified_diff(nearest, lines, "recorded", "asked", lineterm="", n=2))


def response_of(reply: Turn) -> ModelResponse:
    """Return a recorded reply as a model's response."""
    parts = [TextPart(reply.text)] if reply.text else []
    calls = [ToolCallPart(each.tool, each.arguments) for each in reply.calls]
    return ModelResponse([*parts, *calls], finish_reason="tool_call" if calls else "stop")
