"""From a model's text to an answer: validated, cleaned, or refused."""

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from typing import Any, Literal, cast

from pydantic import BaseModel, ImportString, TypeAdapter, ValidationError
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition

from ai_base.llm.candidates.guard import Guard
from ai_base.llm.errors import InvalidOutputError, LLMError
from ai_base.text.clean import clean, clean_value
from ai_base.text.reply import ReplyError, parse_reply

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
    definition = OutputObjectDefinition(schema_of(output_type), output_type.__name__)
    mode: Literal["native", "prompted"] = "native" if guard.profile.get("supports_json_schema_output") else "prompted"
    return ModelRequestParameters(output_mode=mode, output_object=definition, allow_text_output=False)


def read_text[T](text: str, output_type: type[T], html: Literal["escape", "keep"]) -> T:
    """Validate and clean an answer's text.

    Raises:
        InvalidOutputError: It is empty, or does not fit.
    """
    if not (cleaned := clean(text, html)).strip():
        raise InvalidOutputError("it is empty", text)
    if not issubclass(output_type, BaseModel):
        return cast("T", cleaned)
    try:
        return cast("T", parse_reply(text, output_type, partial(clean_value, html=html)).value)
    except ReplyError as error:
        raise InvalidOutputError(str(error), text) from error


def write_text(output: object) -> str:
    """Write an output as text: the reverse of `read_text`."""
    return output.model_dump_json(by_alias=True, round_trip=True) if isinstance(output, BaseModel) else str(output)


def question_key(prompt: str, version: str, text: str, output_type: type, chain: list[Guard]) -> str:
    """Return what is equal for questions that the same answer serves: whom is asked is a part of it."""
    asked = [[guard.name, guard.candidate.model, str(guard.candidate.temperature)] for guard in chain]
    facts = [prompt, version, text, schema_of(output_type), asked]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def name_of(output_type: type) -> str:
    """Return `module:Class`, or nothing for text."""
    return f"{output_type.__module__}:{output_type.__qualname__}" if issubclass(output_type, BaseModel) else ""


def type_named(name: str) -> type:
    """Return the type that `name_of` named.

    Raises:
        LLMError: It is not there (any more).
    """
    try:
        found = TypeAdapter(ImportString).validate_python(name) if name else str
    except ValidationError as error:
        raise LLMError(f"the output type {name} cannot be found: {error.errors()[0]['msg']}") from error
    if found is not str and not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise LLMError(f"the output type {name} is no Pydantic model")
    return cast("type", found)


@cache
def schema_of(output_type: type) -> dict[str, Any]:
    """Return a JSON schema."""
    return TypeAdapter(output_type).json_schema()
