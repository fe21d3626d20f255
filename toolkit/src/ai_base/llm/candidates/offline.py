"""A demonstration model that needs no key: it computes an answer from the words it sees, and understands nothing."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from ai_base.text.lenient_json import JSON

MARK = "[offline, no model was asked]"
_MAX_DEPTH = 4
_HINTS = {  # beginnings of everyday words that speak for a value
    "billing": "bill charge invoice pay price refund subscription money card",
    "bug": "bug crash error broke fail exception freez",
    "question": "how what where which whether ?",
    "account": "account login log password sign profile",
    "urgent": "! urgent asap immediate down outage crash critical emergenc block breach everyone",
    "positive": "thank great love perfect excellent happy",
    "negative": "angry terrible worst hate disappoint unacceptable",
}
_FORMATS = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "uri": "https://example.com/",
}
_FORMATS |= {"email": "offline@example.com", "uuid": "00000000-0000-4000-8000-000000000000", "duration": "PT0S"}


class OfflineModel(FunctionModel):
    """Text: sentences of the prompt. Structured output: what fits the schema and the prompt's words. Calls no tool.

    Tokens are estimated (50 and more for a request), and cost nothing.
    """

    def __init__(self) -> None:
        super().__init__(_respond, stream_function=_stream, model_name="offline")

    @property
    def system(self) -> str:
        """The provider's name."""
        return "offline"


async def _respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    text, output = _last_prompt(messages), info.model_request_parameters.output_object
    if output:  # only there in the modes that answer in JSON
        answer = _Answer(text, output.json_schema).value(output.json_schema)
        return ModelResponse([TextPart(json.dumps(answer, ensure_ascii=False))], provider_name="offline")
    if info.output_tools and not info.allow_text_output:
        schema = info.output_tools[0].parameters_json_schema
        arguments = json.dumps(_Answer(text, schema).value(schema))
        return ModelResponse([ToolCallPart(info.output_tools[0].name, arguments)], provider_name="offline")
    sentences = _sentences(text)  # the first says what it is about, the longest says most
    summary = sentences[0] if sentences[0] == (most := max(sentences, key=len)) else f"{sentences[0]} {most}"
    return ModelResponse([TextPart(f"{MARK} {summary[:500]}")], provider_name="offline")


async def _stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    for part in (await _respond(messages, info)).parts:
        if isinstance(part, ToolCallPart):
            yield {0: DeltaToolCall(part.tool_name, part.args_as_json_str(), tool_call_id=part.tool_call_id)}
        elif isinstance(part, TextPart):
            for word in re.findall(r"\s*\S+", part.content):
                yield word


def _last_prompt(messages: list[ModelMessage]) -> str:
    """Return what the user said last; where a tag encloses the data, as in <ticket>...</ticket>, only that."""
    parts = [part for message in messages if isinstance(message, ModelRequest) for part in message.parts]
    content = next((part.content for part in reversed(parts) if isinstance(part, UserPromptPart)), "")
    text = content if isinstance(content, str) else "\n".join(item for item in content if isinstance(item, str))
    for closing in list(re.finditer(r"</(\w{1,40})>", text))[-1:]:
        text = text[: closing.start()].partition(f"<{closing[1]}>")[2] or text
    return text.strip()


def _sentences(text: str) -> list[str]:
    return [sentence.strip() for sentence in re.split(r"(?<=[.!?])\s|\n", text) if sentence.strip()] or ["(no text)"]


class _Answer:
    """Fills a JSON schema from a text, and counts how many of its choices the text speaks of."""

    def __init__(self, text: str, schema: dict[str, Any]) -> None:
        self.root, self.sentences, self.choices, self.found = schema, _sentences(text), 0, 0
        self.words = re.findall(r"\w+|[!?]", text[:20_000].lower())

    def value(self, schema: dict[str, Any], name: str = "", depth: int = 0) -> JSON:
        while "$ref" in schema or "anyOf" in schema or "oneOf" in schema or "allOf" in schema:
            options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or [self.root]
            for key in schema.get("$ref", "").split("/")[1:]:
                options = [options[0][key]]
            # The first real one; deep down nothing, if that is allowed, because a schema may contain itself.
            schema = min(options, key=lambda it: (it.get("type") == "null") != (depth > _MAX_DEPTH))
        result: JSON
        match schema.get("type", "string"):
            case _ if "const" in schema or "enum" in schema:
                result = schema["const"] if "const" in schema else self.choice(schema["enum"])
            case "object":
                result = self.object(schema, depth)
            case "array":
                result = self.array(schema, name, depth)
            case "integer" | "number" as kind:
                result = self.number(schema, name, schema.get("multipleOf", 1 if kind == "integer" else 0))
            case "boolean":
                result = self.count(name) > 0
            case "string" if schema.get("format") not in _FORMATS:
                sentence = next((each for each in self.sentences if len(each.split()) > 1), self.sentences[0])
                result = sentence[: schema.get("maxLength", 500)].ljust(schema.get("minLength", 0), ".")
            case _:
                result = _FORMATS.get(schema.get("format", ""))  # null has none
        return result

    def count(self, name: str) -> int:
        """Count the words of the text that speak for what `name` names."""
        parts = re.findall("[a-z]{3,}", name.lower())
        stems = tuple(stem for part in parts for stem in _HINTS.get(part, part[: max(4, len(part) - 2)]).split())
        return sum(word.startswith(stems) for word in self.words)

    def urgency(self) -> float:
        return min(1.0, self.count("urgent") / 4)

    def choice(self, options: list[Any]) -> Any:  # noqa: ANN401 - an enumeration may hold anything
        scores = [self.count(str(option)) for option in options]
        self.choices, self.found = self.choices + 1, self.found + (max(scores) > 0)
        return options[scores.index(max(scores)) if max(scores) else -1]

    def object(self, schema: dict[str, Any], depth: int) -> dict[str, JSON]:
        kept = schema.get("required", []) if depth > _MAX_DEPTH else list(schema.get("properties", {}))
        ordered = sorted(kept, key=lambda name: "confidence" in name)  # which tells about all others
        values = {name: self.value(schema["properties"][name], name, depth + 1) for name in ordered}
        return {name: values[name] for name in kept}

    def array(self, schema: dict[str, Any], name: str, depth: int) -> list[JSON]:
        least, wanted = schema.get("minItems", 0), 0 if depth > _MAX_DEPTH else 1
        items = schema.get("prefixItems") or [schema.get("items", {})] * max(
            least, min(wanted, schema.get("maxItems", 1))
        )
        return [self.value(item, name, depth + 1) for item in items]

    def number(self, schema: dict[str, Any], name: str, step: float) -> float:
        small = step or 1e-6
        low = schema.get("minimum", schema["exclusiveMinimum"] + small if "exclusiveMinimum" in schema else 0)
        high = schema.get("maximum", schema["exclusiveMaximum"] - small if "exclusiveMaximum" in schema else low + 10)
        found = 0.2 + 0.6 * self.found / max(1, self.choices)
        value: float = low + (high - low) * (found if "confidence" in name else self.urgency())
        first = -(-low // step) * step if step else 0  # the lowest multiple
        return first + int((value - first) // step) * step if step else round(value, 6)
