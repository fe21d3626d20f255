"""What the tests of agents share: calls that a model makes, and a provider that makes them over HTTP."""

import json
from collections.abc import Callable
from typing import Any

from pydantic_ai.messages import ModelResponse, ModelResponsePart, TextPart, ToolCallPart

from ai_base.agent.tools import Observation, Toolbox
from ai_base.testing.loopback import Reply

LONG = 2000
"""Characters of an observation, in the tests of tools."""

KEY = "sk-proj-" + "abcDEF0123456789" * 3
"""Has the form of a provider's key."""


def call(tool: str, thought: str = "", **arguments: Any) -> ModelResponse:
    return calls((tool, arguments), thought=thought)


def calls(*made: tuple[str, dict[str, Any] | str], thought: str = "") -> ModelResponse:
    parts: list[ModelResponsePart] = [TextPart(thought)] if thought else []
    parts += [
        ToolCallPart(tool, arguments, tool_call_id=f"call_{number}") for number, (tool, arguments) in enumerate(made)
    ]
    return ModelResponse(parts)


def http_calls(*made: tuple[str, dict[str, Any]]) -> Reply:
    """Return a reply of a provider that calls tools."""
    tool_calls = [
        {"id": f"call_{number}", "type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}
        for number, (tool, arguments) in enumerate(made)
    ]
    message = {"role": "assistant", "content": None, "tool_calls": tool_calls}
    whole = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "priced",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 100, "total_tokens": 200},
    }
    return Reply(raw=json.dumps(whole))


def search(query: str) -> list[str]:
    """Search the documents.

    Args:
        query: The words to look for.
    """
    return [f"about {query}"]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def returns(value: Any) -> Callable[[], Any]:
    def returned() -> Any:
        """Return it."""
        return value

    return returned


async def observed(
    function: Callable[..., Any], arguments: str | dict[str, Any] = "", seconds: float = 60
) -> Observation:
    """Execute a call of a function."""
    toolbox = Toolbox([function], [], LONG)
    call = ToolCallPart(toolbox.definitions[0].name, arguments)
    valid = toolbox.validate(call)
    return valid if isinstance(valid, Observation) else await toolbox.execute(call, valid, seconds)
