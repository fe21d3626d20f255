"""A demonstration model that needs no key. It computes an answer from the words of the prompt, and understands nothing.

So its confidence is the lowest that the schema allows, and its texts say that no model was asked.
"""

import json
import math
import re
from collections.abc import AsyncIterator
from typing import Any

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.tools import ToolDefinition

from ai_base.text.lenient_json import JSON

MARK = "[offline, no model was asked]"
"""Stands at the beginning of every text that is long enough for it."""

SHORTEST_MARKED_TEXT = 60
"""Characters. A shorter field would have no room for anything but the mark."""

MAX_DEPTH = 4
"""Levels of a schema that are filled as far as possible. Below, optional parts are left out: it may contain itself."""

HINTS = {
    "billing": ["bill", "charge", "invoice", "pay", "price", "refund", "subscription", "money", "card"],
    "bug": ["bug", "crash", "error", "broke", "fail", "exception", "freez"],
    "question": ["how", "what", "where", "which", "whether", "?"],
    "account": ["account", "login", "log", "password", "sign", "profile"],
    "urgent": ["!", "urgent", "asap", "immediate", "down", "outage", "crash", "critical", "emergenc"],
    "positive": ["thank", "great", "love", "perfect", "excellent", "happy"],
    "negative": ["angry", "terrible", "worst", "hate", "disappoint", "unacceptable"],
}
"""Beginnings of words that speak for a value. A value that is not listed is looked for by its own beginning."""

FORMATS = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "uri": "https://example.com/",
    "email": "offline@example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
"""Values of texts that must have a format."""

MANY_URGENT_WORDS = 4


class OfflineModel(FunctionModel):
    """Answers with sentences of the prompt, or with values that fit the schema and the prompt's words.

    It calls a tool only if its name says that it searches: once for a prompt, with the prompt itself.

    Tokens are estimated, at least 50 for a request, and cost nothing.
    """

    def __init__(self) -> None:
        super().__init__(_respond, stream_function=_stream, model_name="offline")

    @property
    def system(self) -> str:
        """The provider's name."""
        return "offline"


async def _respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    prompt, output = _last_prompt(messages), info.model_request_parameters.output_object
    if output:  # set in the modes in which the answer is JSON text
        answer = _Answer(prompt, output.json_schema).fill()
        return ModelResponse([TextPart(json.dumps(answer, ensure_ascii=False))], provider_name="offline")
    if info.output_tools and not info.allow_text_output:
        tool = info.output_tools[0]
        arguments = json.dumps(_Answer(prompt, tool.parameters_json_schema).fill())
        return ModelResponse([ToolCallPart(tool.name, arguments)], provider_name="offline")
    text = _summary(prompt)
    if returned := [part for part in messages[-1].parts if isinstance(part, ToolReturnPart)]:
        text = f"{returned[0].tool_name} returned: {_summary(str(returned[0].content))}"
    elif call := _search(info.function_tools, prompt):
        return ModelResponse([call], provider_name="offline")
    return ModelResponse([TextPart(f"{MARK} {text}")], provider_name="offline")


def _search(tools: list[ToolDefinition], prompt: str) -> ToolCallPart | None:
    """Return a call of the first search that needs one text and nothing else: other tools may change something."""
    for tool in tools:
        schema = tool.parameters_json_schema
        required = schema.get("required", [])
        if "search" in tool.name and len(required) == 1 and schema["properties"][required[0]].get("type") == "string":
            return ToolCallPart(tool.name, {required[0]: prompt})
    return None


def _summary(text: str) -> str:
    """Return the first sentence and the longest one."""
    sentences = _sentences(text)
    first, longest = sentences[0], max(sentences, key=len)
    return (first if first == longest else f"{first} {longest}")[:500]


async def _stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    for part in (await _respond(messages, info)).parts:
        if isinstance(part, ToolCallPart):
            yield {0: DeltaToolCall(part.tool_name, part.args_as_json_str(), tool_call_id=part.tool_call_id)}
        elif isinstance(part, TextPart):
            for word in re.findall(r"\s*\S+", part.content):
                yield word


def _last_prompt(messages: list[ModelMessage]) -> str:
    """Return what the user said last. Where a tag encloses the data, as in <ticket>...</ticket>, only that counts."""
    parts = [part for message in messages if isinstance(message, ModelRequest) for part in message.parts]
    prompts = [part.content for part in parts if isinstance(part, UserPromptPart)]
    content = prompts[-1] if prompts else ""
    text = content if isinstance(content, str) else "\n".join(item for item in content if isinstance(item, str))
    closing_tags = list(re.finditer(r"</(\w{1,40})>", text))
    if closing_tags:
        last = closing_tags[-1]
        _, _, enclosed = text[: last.start()].partition(f"<{last[1]}>")
        text = enclosed or text
    return text.strip()


def _sentences(text: str) -> list[str]:
    found = [sentence.strip() for sentence in re.split(r"(?<=[.!?])\s|\n", text)]
    return [sentence for sentence in found if sentence] or ["(no text)"]


class _Answer:
    """Fills a JSON schema with values that it chooses by the words of a text."""

    def __init__(self, text: str, schema: dict[str, Any]) -> None:
        self.schema, self.sentences = schema, _sentences(text)
        self.words = re.findall(r"\w+|[!?]", text[:20_000].lower())

    def fill(self) -> JSON:
        return self._value(self.schema, "", 0)

    def _value(self, schema: dict[str, Any], name: str, depth: int) -> JSON:  # noqa: PLR0911 - one for each type
        schema = self._resolved(schema, depth)
        if "const" in schema:
            constant: JSON = schema["const"]
            return constant
        if "enum" in schema:
            return self._choice(schema["enum"])
        match schema.get("type", "string"):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer" | "number":
                return self._number(schema, name)
            case "boolean":
                return self._count(name) > 0
            case "string":
                return FORMATS.get(schema.get("format", "")) or self._text(schema)
            case _:  # null
                return None

    def _resolved(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        """Follow references. Of alternatives, take the first that is not null; below `MAX_DEPTH`, null if possible."""
        while True:
            if "$ref" in schema:
                target = self.schema
                for key in schema["$ref"].split("/")[1:]:
                    target = target[key]
                schema = target
                continue
            options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
            if not options:
                return schema
            nulls = [option for option in options if option.get("type") == "null"]
            others = [option for option in options if option.get("type") != "null"]
            preferred = [*nulls, *others] if depth > MAX_DEPTH else [*others, *nulls]
            schema = preferred[0]

    def _count(self, name: str) -> int:
        """Count the words of the text that speak for what `name` names."""
        beginnings: list[str] = []
        for part in re.findall("[a-z]{3,}", name.lower()):
            beginnings += HINTS.get(part, [part[: max(4, len(part) - 2)]])
        return sum(word.startswith(tuple(beginnings)) for word in self.words)

    def _choice(self, options: list[JSON]) -> JSON:
        """Return the option that most words speak for; the last, which often is "other", unless there is just one."""
        scores = [self._count(str(option)) for option in options]
        best = max(scores)
        return options[scores.index(best)] if best and scores.count(best) == 1 else options[-1]

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, JSON]:
        properties = schema.get("properties", {})
        names = schema.get("required", []) if depth > MAX_DEPTH else list(properties)
        return {name: self._value(properties[name], name, depth + 1) for name in names}

    def _array(self, schema: dict[str, Any], name: str, depth: int) -> list[JSON]:
        if "prefixItems" in schema:
            items = schema["prefixItems"]
        else:
            wanted = 0 if depth > MAX_DEPTH else min(1, schema.get("maxItems", 1))
            items = [schema.get("items", {})] * max(wanted, schema.get("minItems", 0))
        return [self._value(item, name, depth + 1) for item in items]

    def _text(self, schema: dict[str, Any]) -> str:
        sentence = next((each for each in self.sentences if len(each.split()) > 1), self.sentences[0])
        longest = schema.get("maxLength", 500)
        if longest >= SHORTEST_MARKED_TEXT:
            sentence = f"{MARK} {sentence}"
        return sentence[:longest].ljust(schema.get("minLength", 0), ".")

    def _number(self, schema: dict[str, Any], name: str) -> float:
        """Return a number between the bounds: how urgent the text sounds. A confidence is as low as it may be."""
        step: float = schema.get("multipleOf", 1 if schema["type"] == "integer" else 0)
        beside = step or 1e-6  # from an exclusive bound to the nearest number that is allowed
        low = schema["exclusiveMinimum"] + beside if "exclusiveMinimum" in schema else schema.get("minimum", 0)
        high = schema["exclusiveMaximum"] - beside if "exclusiveMaximum" in schema else schema.get("maximum", low + 10)
        urgency = min(1.0, self._count("urgent") / MANY_URGENT_WORDS)
        value: float = low if "confidence" in name else low + (high - low) * urgency
        if not step:
            return round(value, 6)
        lowest_multiple: float = math.ceil(low / step) * step
        multiple: float = lowest_multiple + int((value - lowest_multiple) // step) * step
        return multiple
