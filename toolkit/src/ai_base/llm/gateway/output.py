"""Output types: how a candidate is asked for one, and how a reply becomes one."""

from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

from pydantic import BaseModel, ImportString, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_core import from_json, to_json

from ai_base.llm.configuration.config import Output
from ai_base.llm.errors import InvalidOutputError, LLMError
from ai_base.text.clean import clean, clean_value
from ai_base.text.lenient_json import JSON
from ai_base.text.reply import ReplyError, parse_reply

WRAPPED = "response"
"""The field of the object that wraps an output which is not an object, such as a list or a number."""


@dataclass(frozen=True)
class Parsed:
    """An output, and what was repaired in the text that held it."""

    output: Any
    repairs: tuple[str, ...] = ()


def parameters(model: Model, output_type: Any) -> ModelRequestParameters:  # noqa: ANN401 - any type form
    """Ask for the output type: by the provider's own JSON mode where it has one, else by instructions."""
    schema = object_type(output_type)
    if schema is None:
        return ModelRequestParameters()
    definition = OutputObjectDefinition(json_schema(output_type), schema.__name__)
    mode: Literal["native", "prompted"] = "native" if model.profile.get("supports_json_schema_output") else "prompted"
    return ModelRequestParameters(output_mode=mode, output_object=definition, allow_text_output=False)


@cache
def object_type(output_type: Any) -> type[BaseModel] | None:  # noqa: ANN401
    """Return the model that replies are validated with; None for text.

    Providers require an object, so any other type (a union, a list, a number, ...) becomes the one field of an object.

    Raises:
        TypeError: Pydantic cannot validate the type.
    """
    if output_type is str:
        return None
    if isinstance(output_type, type) and issubclass(output_type, BaseModel):
        return output_type
    try:
        wrapper: type[BaseModel] = create_model("Output", response=(output_type, ...))
    except PydanticUserError as error:
        raise TypeError(f"output_type must be str or a type that Pydantic validates, not {output_type!r}") from error
    return wrapper


@cache
def json_schema(output_type: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the JSON schema of the object that `object_type` names; empty for text."""
    schema = object_type(output_type)
    return schema.model_json_schema() if schema else {}


def read_text(text: str, output_type: Any, settings: Output) -> Parsed:  # noqa: ANN401
    """Validate and clean a reply.

    Raises:
        InvalidOutputError: It is empty, or does not fit the type.
    """
    if not (cleaned := clean(text, settings.html)).strip():
        raise InvalidOutputError("it is empty", text)
    schema = object_type(output_type)
    if schema is None:
        return Parsed(cleaned)
    wrapped = schema is not output_type
    change = partial(clean_value, html=settings.html)
    try:
        if wrapped:
            text = _wrap_scalar(text)
            reply = parse_reply(text, schema, lambda value: _wrap(change(value)), strict=settings.strict)
        else:
            reply = parse_reply(text, schema, change, strict=settings.strict)
    except ReplyError as error:
        raise InvalidOutputError(str(error), text) from error
    if reply.truncated:
        raise InvalidOutputError("the reply ends before it is complete", text)
    return Parsed(getattr(reply.value, WRAPPED) if wrapped else reply.value, reply.repairs)


def _wrap(value: JSON) -> JSON:
    """Put a bare value into the object that was asked for, unless it is that object."""
    return value if isinstance(value, dict) and WRAPPED in value else {WRAPPED: value}


def _wrap_scalar(text: str) -> str:
    """Wrap a reply that is only a number, a string or the like, because the parser looks for objects."""
    try:
        value = from_json(text)
    except ValueError:
        return text
    return text if isinstance(value, dict | list) else to_json({WRAPPED: value}).decode()


def write_text(output: object, output_type: Any) -> str:  # noqa: ANN401
    """Write an output as text that `read_text` reads again."""
    schema = object_type(output_type)
    if schema is not None and schema is not output_type:
        output = schema.model_construct(None, **{WRAPPED: output})
    if isinstance(output, BaseModel):
        return output.model_dump_json(by_alias=True, round_trip=True, warnings=False)
    return str(output)


def name_of(output_type: Any) -> str:  # noqa: ANN401
    """Return a name for the ledger: `module:Class`; empty for text; `typing:Any` for a type that has no name."""
    if output_type is str:
        return ""
    if isinstance(output_type, type) and "<locals>" not in output_type.__qualname__:
        return f"{output_type.__module__}:{output_type.__qualname__}"
    return "typing:Any"


def type_named(name: str) -> Any:  # noqa: ANN401
    """Return the type that `name_of` named.

    Raises:
        LLMError: It does not exist (any more).
    """
    if not name:
        return str
    try:
        return TypeAdapter(ImportString).validate_python(name)
    except ValidationError as error:
        raise LLMError(f"the output type {name} cannot be found: {error.errors()[0]['msg']}") from error
