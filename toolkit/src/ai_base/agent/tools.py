"""Tools: plain typed functions. Whatever goes wrong in one becomes an observation."""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from functools import wraps
from threading import Thread
from traceback import format_exception_only
from typing import Any, Literal, NamedTuple, cast

from pydantic import ValidationError
from pydantic_ai import Tool
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.tools import ToolDefinition
from pydantic_core import to_json

from ai_base.llm.gateway.question import CUT
from ai_base.llm.ledger.records import storable
from ai_base.text.scrub import scrub

type Function = Callable[..., Any] | Tool[Any]
type Arguments = dict[str, Any]


class Observation(NamedTuple):
    """What the model is told about a call."""

    text: str
    outcome: Literal["ok", "failed", "denied", "waiting", "skipped"] = "failed"


class Toolbox:
    """The tools of an agent, by name. Name, schema and description come from signature, hints and docstring."""

    def __init__(self, tools: Sequence[Function], needs_approval: Sequence[Function], characters: int) -> None:
        self._characters = characters
        self._tools: dict[str, Tool[Any]] = {}
        self._unapproved: set[str] = set()
        for function in [*tools, *needs_approval]:
            tool: Tool[Any] = function if isinstance(function, Tool) else Tool(_asynchronous(function))
            if tool.name in self._tools:
                raise ValueError(f"two tools are called {tool.name!r}")
            if tool.takes_ctx:
                raise ValueError(f"tool {tool.name!r} takes a RunContext; there is none: a tool is a plain function")
            self._tools[tool.name] = tool
            if function in needs_approval:
                self._unapproved.add(tool.name)

    @property
    def definitions(self) -> list[ToolDefinition]:
        """What the model is told about the tools."""
        return [tool.tool_def for tool in self._tools.values()]

    def needs_approval(self, call: ToolCallPart) -> bool:
        """Whether a person has to approve the call."""
        return call.tool_name in self._unapproved

    def validate(self, call: ToolCallPart) -> Arguments | Observation:
        """Return the arguments of a call; or a failure, if there is no such tool or they do not fit it."""
        if (tool := self._tools.get(call.tool_name)) is None:
            return self.failure(f"there is no tool {call.tool_name!r}; there are: {', '.join(self._tools) or 'none'}")
        try:
            return cast("Arguments", tool.function_schema.validator.validate_json(arguments_of(call) or "{}"))
        except ValidationError as error:
            mistakes = error.errors(include_input=False, include_url=False, include_context=False)
            said = [f"{'.'.join(map(str, each['loc'])) or 'JSON'}: {each['msg']}" for each in mistakes]
            return self.failure("; ".join(said))
        except Exception as error:  # noqa: BLE001 - a validator of the team's own
            return self.failure(error)

    async def execute(self, call: ToolCallPart, arguments: Arguments, seconds: float) -> Observation:
        """Execute a call. It is given up after so many seconds; a thread cannot be stopped, it ends by itself."""
        task = asyncio.create_task(self._result(self._tools[call.tool_name], arguments))
        try:
            done, _ = await asyncio.wait([task], timeout=seconds)
        finally:
            task.cancel()
        return task.result() if done else self.failure(f"no result within {seconds:g} s")

    async def _result(self, tool: Tool[Any], arguments: Arguments) -> Observation:
        try:
            result = await tool.function_schema.call(arguments, None)  # type: ignore[arg-type]  # takes no context
            text = result if isinstance(result, str) else to_json(result).decode()
            return Observation(self._cut(str(storable(text))), "ok")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the model is told
            return self.failure(error)

    def failure(self, reason: str | BaseException) -> Observation:
        """Return a failure, scrubbed: the text of an exception may hold anything."""
        text = reason if isinstance(reason, str) else "".join(format_exception_only(reason)).strip()
        return Observation(self._cut(scrub(str(storable(text[: 2 * self._characters])))))

    def _cut(self, text: str) -> str:
        return text if len(text) <= self._characters else text[: self._characters - len(CUT)] + CUT


def arguments_of(call: ToolCallPart) -> str:
    """Return the arguments as the model wrote them: JSON, if it did well."""
    return call.args if isinstance(call.args, str) else to_json(call.args or {}).decode()


def _asynchronous(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that runs a synchronous one in a thread, which keeps neither the loop nor the process alive."""
    if inspect.iscoroutinefunction(function):
        return function

    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the function has them
        done: Future[tuple[Any, BaseException | None]] = Future()
        done.set_running_or_notify_cancel()  # it cannot be cancelled: its thread goes on

        def work() -> None:
            try:
                done.set_result((context.run(function, *args, **kwargs), None))
            except BaseException as error:  # noqa: BLE001 - raised again where the result is awaited
                done.set_result((None, error))  # a future takes no StopIteration as its exception

        context = copy_context()
        Thread(target=work, name=f"tool {function.__name__}", daemon=True).start()
        result, error = await asyncio.wrap_future(done)
        if error is not None:
            raise error
        return await result if inspect.isawaitable(result) else result

    return call
