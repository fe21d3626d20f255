"""Fits a JSON value of a reply to an output type, and unwraps it first if needed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, to_json

from ai_base.text.lenient_json import JSON, Document, LenientJSONError, Path, read

MAX_DETAILS = 5
"""Most validation errors that one message lists."""

MAX_WRAPPERS = 4
"""Most wrappers around an object that are removed."""

_ARGUMENTS = ("arguments", "parameters", "input", "args", "tool_input", "action_input")
_NAMES = ("name", "tool", "tool_name", "function", "action", "recipient_name")
_TOOL_CALL_KEYS = {*_ARGUMENTS, *_NAMES, "id", "call_id", "type", "index"}
_CALLS = ("function", "function_call", "tool_call", "tool_calls")


@dataclass(frozen=True)
class Fit[T]:
    """A validated value, and what had to be unwrapped."""

    value: T
    repairs: tuple[str, ...]


@dataclass(frozen=True)
class Misfit:
    """Why a value does not fit, and the path of the part that the reason is about."""

    reason: str
    path: Path


@dataclass(frozen=True)
class _Layer:
    """A value, what was unwrapped to reach it, and its path in the document."""

    value: JSON
    repairs: tuple[str, ...] = ()
    path: Path = ()


class Schema[T]:
    """An output type: what fits it, and which keys its objects have."""

    def __init__(self, output_type: type[T] | TypeAdapter[T], change: Callable[[JSON], JSON]) -> None:
        self._adapter = output_type if isinstance(output_type, TypeAdapter) else TypeAdapter(output_type)
        self._change = change

    def fit(self, value: JSON) -> Fit[T] | Misfit:
        """Validate a value; if it does not fit, the value inside a list of one item or a tool call."""
        failure: Misfit | None = None
        for layer in _layers(value):
            if self._is_tool_call(layer.value):
                continue
            outcome = self.validate(layer.value)
            if isinstance(outcome, Fit):
                return Fit(outcome.value, layer.repairs)
            if failure is None or layer.repairs:
                failure = Misfit(outcome.reason, (*layer.path, *outcome.path))
        return failure or Misfit("a tool call without usable arguments", ())

    def validate(self, value: JSON) -> Fit[T] | Misfit:
        """Validate as JSON, not as Python, so that strict schemas take dates and enumerations from text."""
        changed = self._change(value)
        if self._is_json_schema(changed):
            return Misfit("this is a JSON schema, not an answer", ())
        try:
            validated = self._adapter.validate_json(to_json(changed))
        except ValidationError as error:
            details = error.errors(include_url=False)
            reason = "; ".join(_explain(detail) for detail in details[:MAX_DETAILS])
            if len(details) > MAX_DETAILS:
                reason += f"; and {len(details) - MAX_DETAILS} more"
            return Misfit(reason, details[0]["loc"])
        if isinstance(changed, dict) and changed and not _uses_a_key(validated, changed):
            return Misfit("none of its keys is in the schema", ())
        return Fit(validated, ())

    def concerns(self, value: JSON) -> bool:
        """Tell whether a value that does not fit was meant as the answer: it is of the same kind, or shares a key."""
        if self._is_json_schema(value):
            return False
        layers = [layer.value for layer in _layers(value)]
        return any(self._shares_a_key(self._change(one)) for one in layers)

    def _shares_a_key(self, value: JSON) -> bool:
        if isinstance(value, list):
            return self._schema.get("type") == "array" or any(
                self._shares_a_key(item) for item in value if isinstance(item, dict)
            )
        return isinstance(value, dict) and (not self.keys or not self.keys.isdisjoint(value))

    def _is_json_schema(self, value: JSON) -> bool:
        if not isinstance(value, dict) or value.get("type") != "object":
            return False
        return isinstance(value.get("properties"), dict) and "properties" not in self.keys

    def _is_tool_call(self, value: JSON) -> bool:
        """Tell whether a value is a tool call, and not an object of the schema that looks like one."""
        key = _arguments_key(value)
        return key is not None and bool(self.keys) and key not in self.keys

    @cached_property
    def keys(self) -> frozenset[str]:
        """Keys of the objects that the schema describes; empty if it names none."""
        return frozenset(_keys(self._schema, self._schema.get("$defs", {}), set()))

    @cached_property
    def _schema(self) -> dict[str, Any]:
        try:
            return self._adapter.json_schema()
        except (PydanticUserError, PydanticSchemaGenerationError):  # a type that JSON schema cannot express
            return {}


def _keys(schema: dict[str, Any], definitions: dict[str, Any], seen: set[str]) -> Iterator[str]:
    yield from schema.get("properties", {})
    reference = schema.get("$ref", "").removeprefix("#/$defs/")
    if reference in definitions and reference not in seen:
        seen.add(reference)
        yield from _keys(definitions[reference], definitions, seen)
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ()), schema.get("items")):
        if isinstance(part, dict):
            yield from _keys(part, definitions, seen)


def _uses_a_key(validated: object, source: dict[str, JSON]) -> bool:
    """Tell whether an object's validation used any of its keys: an all-optional schema accepts every object."""
    if isinstance(validated, BaseModel):
        return bool(validated.model_fields_set - (validated.model_extra or {}).keys())
    if is_dataclass(validated):
        names = {one.name for one in fields(validated)}
        return not names or not names.isdisjoint(source)
    return not isinstance(validated, dict) or bool(validated)


def _layers(value: JSON) -> Iterator[_Layer]:
    """Yield a value and what it wraps."""
    layer: _Layer | None = _Layer(value)
    for _ in range(MAX_WRAPPERS + 1):
        if layer is None:
            return
        yield layer
        layer = _unwrap(layer)


def _unwrap(layer: _Layer) -> _Layer | None:
    """Take off one wrapper: a list of one item, or a tool call."""
    value = layer.value
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict | list):
        return _Layer(value[0], (*layer.repairs, "list of one item"), (*layer.path, 0))
    if not isinstance(value, dict):
        return None
    for key in _CALLS:
        if set(value) <= {key, "id", "type", "index"} and isinstance(value.get(key), dict | list):
            return _Layer(value[key], (*layer.repairs, "tool call"), (*layer.path, key))
    arguments_key = _arguments_key(value)
    if arguments_key is None:
        return None
    arguments = value[arguments_key]
    repairs = (*layer.repairs, "tool call")
    if isinstance(arguments, str):
        document = _read_whole(arguments)
        if document is None:
            return None
        arguments = document.value
        repairs = (*repairs, "arguments encoded as a string", *document.repairs)
    return _Layer(arguments, repairs, (*layer.path, arguments_key))


def _arguments_key(value: JSON) -> str | None:
    """Return the key of a tool call's arguments, if the value is a tool call."""
    if not isinstance(value, dict) or not set(value) <= _TOOL_CALL_KEYS:
        return None
    present = [key for key in _ARGUMENTS if key in value]
    named = any(isinstance(value.get(key), str) for key in _NAMES)
    if len(present) != 1 or not named:
        return None
    arguments = value[present[0]]
    usable = isinstance(arguments, dict) or (isinstance(arguments, str) and arguments.lstrip().startswith("{"))
    return present[0] if usable else None


def _read_whole(text: str) -> Document | None:
    """Read a string if it is one complete object; else return None."""
    text = text.strip()
    try:
        document = read(text, 0)
    except LenientJSONError:
        return None
    return None if document.truncated or document.end < len(text) else document


def _explain(detail: ErrorDetails) -> str:
    path = ".".join(part if part.isidentifier() else repr(part[:40]) for part in map(str, detail["loc"]))
    got = "" if detail["type"] == "missing" else f" (got {str(detail['input'])[:40]!r})"
    return f"{path or 'reply'}: {detail['msg']}{got}"
