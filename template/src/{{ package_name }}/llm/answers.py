"""From a model's response to an answer: validated, cleaned, or refused."""

import hashlib
import importlib
import json
import operator
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Literal, cast

from pydantic import BaseModel
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_core import to_json

from ..reply import ReplyError, parse_reply
from .clean import clean, clean_value
from .errors import InvalidOutputError, LLMError
from .guard import Guard

type Source = Literal["model", "cache", "fallback", "human"]


@dataclass(frozen=True)
class Answer[T]:
    """What came out of one interaction."""

    output: T
    source: Source
    """Where it is from; `human` also while a person has yet to confirm the output."""
    model: str
    """As the provider reports it; empty unless a model was asked."""
    cost: Decimal
    """US dollars, of all attempts together."""
    calls: int
    interaction_id: str
    confidence: float | None = None
    escalation_id: str | None = None
    """Of the question that waits for a person, if one does."""
    reason: str = ""
    """Why it is not a model's answer."""


def parameters(guard: Guard, output_type: type) -> ModelRequestParameters:
    """Ask for the output type in the way that the candidate knows best."""
    if not issubclass(output_type, BaseModel):
        return ModelRequestParameters()
    definition = OutputObjectDefinition(_schema(output_type), output_type.__name__)
    mode: Literal["native", "prompted"] = "native" if guard.profile.get("supports_json_schema_output") else "prompted"
    return ModelRequestParameters(output_mode=mode, output_object=definition, allow_text_output=False)


def read_answer[T](response: ModelResponse, output_type: type[T], html: Literal["escape", "keep"]) -> T:
    """Validate and clean what a model answered.

    Raises:
        InvalidOutputError: It is empty, was withheld, or does not fit.
    """
    text = response.text or ""
    if response.finish_reason == "content_filter" or not text.strip():
        raise InvalidOutputError(f"nothing but {response.finish_reason or 'white space'}", text)
    return read_text(text, output_type, html)


def read_text[T](text: str, output_type: type[T], html: Literal["escape", "keep"]) -> T:
    """Validate and clean an answer's text. Raises as `read_answer`."""
    if not issubclass(output_type, BaseModel):
        return cast("T", clean(text, html))
    try:
        value = parse_reply(text, output_type).value
        plain = value.model_dump(mode="json", by_alias=True, round_trip=True)
        cleaned = clean_value(plain, html)
        return cast("T", value if cleaned == plain else output_type.model_validate_json(to_json(cleaned)))
    except ReplyError as error:
        raise InvalidOutputError(str(error), text) from error
    except ValueError as error:  # it fits no longer once it is clean
        raise InvalidOutputError(f"unsafe content: {error}", text) from error


def write_text(output: object) -> str:
    """Write an output as text: the reverse of `read_text`."""
    return output.model_dump_json(by_alias=True, round_trip=True) if isinstance(output, BaseModel) else str(output)


def confidence_of[T](output: T, judge: Callable[[T], float] | None) -> float | None:
    """Return the confidence (0 to 1) in an output: as judged, else its own field of that name, else None."""
    value = judge(output) if judge else getattr(output, "confidence", None)
    return float(value) if isinstance(value, (int, float)) else None


def question_key(prompt: str, version: str, text: str, output_type: type, chain: list[Guard]) -> str:
    """Return what is equal for questions that the same answer serves: whom is asked is a part of it."""
    asked = [[guard.name, guard.candidate.model, str(guard.candidate.temperature)] for guard in chain]
    schema = _schema(output_type) if issubclass(output_type, BaseModel) else output_type.__name__
    return hashlib.sha256(json.dumps([prompt, version, text, schema, asked], sort_keys=True).encode()).hexdigest()


def name_of(output_type: type) -> str:
    """Return `module:Class`, or nothing for text."""
    return f"{output_type.__module__}:{output_type.__qualname__}" if issubclass(output_type, BaseModel) else ""


def type_named(name: str) -> type:
    """Return the type that `name_of` named.

    Raises:
        LLMError: It is not there (any more).
    """
    module, _, qualname = name.partition(":")
    try:
        return cast("type", operator.attrgetter(qualname)(importlib.import_module(module))) if name else str
    except (ImportError, AttributeError) as error:
        raise LLMError(f"the output type {name} cannot be found: {error}") from error


@cache
def _schema(output_type: type[BaseModel]) -> dict[str, Any]:
    return output_type.model_json_schema()
