"""From a model's reply, as messy as it comes, to a validated object."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, to_json

from ai_base.text.lenient_json import JSON, Document, LenientJSONError, read

MAX_CHARACTERS = 200_000
"""Longest reply that is looked at; models stop far below it."""

MAX_DETAILS = 5
"""Most validation errors that one message lists."""


class ReplyError(ValueError):
    """The reply holds no object of the wanted shape.

    `line` and `column` (both from 1) say where, `reason` says why.
    """

    def __init__(self, reason: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {reason}")
        self.reason = reason
        self.line = line
        self.column = column


@dataclass(frozen=True)
class Reply[T: BaseModel]:
    """A validated reply: the object, and what had to be forgiven in the text that held it."""

    value: T
    repairs: tuple[str, ...]


@dataclass(frozen=True)
class _Failure:
    """Why one candidate was rejected; `extent` (characters read) tells how much of the reply it was."""

    extent: int
    position: int
    reason: str


def parse_reply[T: BaseModel](
    text: str, schema: type[T], change: Callable[[JSON], JSON] = lambda value: value
) -> Reply[T]:
    """Find the object in `text` that `schema` accepts; of several, the last complete one, since drafts come first.

    What surrounds the object (prose, code fences) is ignored, and its syntax is read leniently: see
    `lenient_json`. A reply that ends too early counts as far as its values are complete. `change` is made to each
    object before it is validated.

    Raises:
        ReplyError: Nothing in the text fits. It tells about the candidate that came furthest.
    """
    if len(text) > MAX_CHARACTERS:
        raise ReplyError(f"the reply has {len(text):,} characters, more than {MAX_CHARACTERS:,}", 1, 1)
    complete: Reply[T] | None = None
    cut_off: Reply[T] | None = None
    failures: list[_Failure] = []
    for candidate in _candidates(text):
        outcome = candidate if isinstance(candidate, _Failure) else _validate(candidate, schema, change)
        if isinstance(outcome, _Failure):
            failures.append(outcome)
        elif isinstance(candidate, Document) and candidate.truncated:
            cut_off = outcome
        else:
            complete = outcome
    if reply := complete or cut_off:
        return reply
    failure = max(failures, key=lambda one: one.extent, default=_Failure(0, 0, "no JSON object found"))
    raise ReplyError(failure.reason, *_line_and_column(text, failure.position))


def _candidates(text: str) -> Iterator[Document | _Failure]:
    """Yield every outermost object or array in the text, and what went wrong where one only began.

    A quote that never closes, in prose or in a draft, swallows what follows it. So the search goes on right behind the
    last quote before a failure, but only so often: a hostile reply must not be read again and again.
    """
    at = 0
    second_looks = 20
    while (start := _next_opening(text, at)) >= 0:
        try:
            document = read(text, start)
        except LenientJSONError as error:
            yield _Failure(error.position - start, error.position, error.reason)
            at, quote = error.position, error.quote
        else:
            if document.value or not document.truncated:
                yield document
            else:
                yield _Failure(document.end - start, len(text), "the reply ends before its first value is complete")
            at, quote = document.end, -1 if document.value else document.quote
        if quote >= start and second_looks:
            at = quote + 1
            second_looks -= 1


def _next_opening(text: str, at: int) -> int:
    return min((found for found in (text.find("{", at), text.find("[", at)) if found >= 0), default=-1)


def _validate[T: BaseModel](document: Document, schema: type[T], change: Callable[[JSON], JSON]) -> Reply[T] | _Failure:
    """Validate as JSON, not as Python, so that strict schemas take dates and enumerations from text."""
    try:
        value = schema.model_validate_json(to_json(change(document.value)))
    except ValidationError as error:
        details = error.errors(include_url=False)
        reason = "; ".join(_explain(detail) for detail in details[:MAX_DETAILS])
        if len(details) > MAX_DETAILS:
            reason += f"; and {len(details) - MAX_DETAILS} more"
        if document.truncated:
            reason = f"the reply is cut off: {reason}"
        return _Failure(document.end - document.start, _position(details[0], document), reason)
    return Reply(value, tuple(sorted(document.repairs)))


def _explain(detail: ErrorDetails) -> str:
    path = ".".join(part if part.isidentifier() else repr(part[:40]) for part in map(str, detail["loc"]))
    got = "" if detail["type"] == "missing" else f" (got {str(detail['input'])[:40]!r})"
    return f"{path or 'reply'}: {detail['msg']}{got}"


def _position(detail: ErrorDetails, document: Document) -> int:
    """Offset of the value that an error is about, or of the closest container that the text has."""
    path = detail["loc"]
    while path and path not in document.positions:
        path = path[:-1]
    return document.positions[path]


def _line_and_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
