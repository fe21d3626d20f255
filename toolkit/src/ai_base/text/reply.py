"""Parses a model's reply, however untidy, into a validated value."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from ai_base.text.lenient_json import JSON, Document, LenientJSONError, Path, read
from ai_base.text.reply_candidates import Broken, Findings, find_candidates
from ai_base.text.reply_choice import is_introduced_as_final
from ai_base.text.reply_encodings import decode, without_fence
from ai_base.text.reply_fit import Fit, Misfit, Schema

MAX_CHARACTERS = 200_000
"""Longest reply that is read; the replies of models are far shorter."""

MAX_ENCODINGS = 3
"""How many times a reply may be encoded as a JSON string."""


class ReplyError(ValueError):
    """The reply holds no value of the output type, or several different ones.

    `line` and `column` count from 1. `truncated` says that the reply ends too early.
    """

    def __init__(self, reason: str, line: int, column: int, *, truncated: bool = False) -> None:
        super().__init__(f"line {line}, column {column}: {reason}")
        self.reason = reason
        self.line = line
        self.column = column
        self.truncated = truncated


@dataclass(frozen=True)
class Reply[T]:
    """A validated reply.

    `repairs` names every deviation from plain JSON that was accepted. `truncated` says that the text ends before
    its closing brackets: every value in it is complete, but there may be members missing.
    """

    value: T
    repairs: tuple[str, ...]
    truncated: bool = False


@dataclass(frozen=True)
class _Fitting[T]:
    """An object that fits, and the document that holds it."""

    document: Document
    fit: Fit[T]


@dataclass(frozen=True)
class _Failure:
    """Why something in the reply was rejected. `extent` is its length, as far as it could be read.

    `relevant` says that it was probably meant as the answer, and `cut` that the end of the text broke it.
    """

    start: int
    extent: int
    position: int
    reason: str
    relevant: bool
    cut: bool


def _unchanged(value: JSON) -> JSON:
    return value


def parse_reply[T](
    text: str,
    schema: type[T] | TypeAdapter[T],
    change: Callable[[JSON], JSON] = _unchanged,
    *,
    strict: bool = False,
) -> Reply[T]:
    """Find the value in `text` that `schema` accepts: a Pydantic model, or a `TypeAdapter` of any type.

    Prose, code fences and reasoning (`<think>` and the like) around it are skipped. Its syntax is read leniently, see
    `lenient_json`, and a list of one item or a tool call around it is unwrapped.

    If two different objects fit, the one that is introduced as final ("Final answer:") is taken, and `repairs` says so;
    without such words the reply is refused. An object is never taken out of a broken one, nor is an earlier object
    taken if a later one was meant as the answer and is broken.

    Args:
        text: The reply, at most `MAX_CHARACTERS` long.
        schema: The type of the answer.
        change: Applied to each JSON value before validation.
        strict: Refuse a reply that needs any repair.

    Raises:
        ReplyError: Nothing fits, more than one object does, or the reply is cut off inside a value.
    """
    if len(text) > MAX_CHARACTERS:
        raise ReplyError(f"the reply has {len(text):,} characters, more than {MAX_CHARACTERS:,}", 1, 1)
    reply = _parse(text, Schema(schema, change), MAX_ENCODINGS)
    if strict and reply.repairs:
        raise ReplyError(f"needs repair: {', '.join(reply.repairs)}", 1, 1, truncated=reply.truncated)
    return reply


def _parse[T](text: str, schema: Schema[T], encodings: int) -> Reply[T]:
    findings = find_candidates(text)
    decoded = decode(text[findings.answer_start :])
    if decoded is not None and encodings:
        reply = _parse(decoded, schema, encodings - 1)
        return replace(reply, repairs=_sorted({*reply.repairs, "encoded twice"}))
    if not findings.found and not findings.unclosed_reasoning and (scalar := _parse_scalar(text, findings, schema)):
        return scalar
    return _choose(text, findings, schema)


def _choose[T](text: str, findings: Findings, schema: Schema[T]) -> Reply[T]:
    """Return the object that fits; see `parse_reply` for the rules if there are several."""
    fitting: list[_Fitting[T]] = []
    failures: list[_Failure] = []
    for found in findings.found:
        outcome = _judge(found, schema)
        if isinstance(outcome, _Fitting):
            fitting.append(outcome)
        else:
            failures.append(outcome)
    if not fitting:
        raise _no_fit_error(text, failures)
    chosen = fitting[-1]
    repairs = {*chosen.document.repairs, *chosen.fit.repairs}
    if any(other.fit.value != chosen.fit.value for other in fitting):
        chosen = _choose_final(text, fitting)
        repairs = {*chosen.document.repairs, *chosen.fit.repairs, "other objects ignored"}
    for failure in failures:
        if failure.start > chosen.document.start and failure.relevant:
            reason = f"an object fits, but a later one does not: {failure.reason}"
            raise _error(text, failure.position, reason, truncated=failure.cut)
        if failure.relevant:
            repairs.add("broken object ignored")
    if findings.unclosed_reasoning:
        if text[chosen.document.end :].strip(" \t\r\n`"):
            raise _error(text, chosen.document.start, "this object may be reasoning: a reasoning tag is not closed")
        repairs.add("unclosed reasoning tag")
    return Reply(chosen.fit.value, _sorted(repairs), chosen.document.truncated)


def _judge[T](found: Document | Broken, schema: Schema[T]) -> _Fitting[T] | _Failure:
    if isinstance(found, Broken):
        extent = found.position - found.start
        return _Failure(found.start, extent, found.position, found.reason, relevant=True, cut=found.cut)
    extent = found.end - found.start
    if found.lost:
        last = max(found.positions, key=lambda path: found.positions[path])
        place = ".".join(str(part)[:40] for part in last)
        reason = f"the reply is cut off in or after {place!r}"
        return _Failure(found.start, extent, found.positions[last], reason, relevant=True, cut=True)
    outcome = schema.fit(found.value)
    if isinstance(outcome, Misfit):
        reason = f"the reply is cut off: {outcome.reason}" if found.truncated else outcome.reason
        relevant = found.truncated or schema.concerns(found.value)
        position = _position(outcome.path, found)
        return _Failure(found.start, extent, position, reason, relevant, found.truncated)
    return _Fitting(found, outcome)


def _choose_final[T](text: str, fitting: list[_Fitting[T]]) -> _Fitting[T]:
    """Return the one of several different objects that is introduced as final."""
    final = [one for one in fitting if is_introduced_as_final(text, one.document.start)]
    if not final or any(one.fit.value != final[0].fit.value for one in final):
        first, last = fitting[0], fitting[-1]
        line, column = _line_and_column(text, first.document.start)
        reason = (
            f"two different objects fit, and nothing says which is final; the other is at line {line}, column {column}"
        )
        raise _error(text, last.document.start, reason)
    return final[-1]


def _no_fit_error(text: str, failures: list[_Failure]) -> ReplyError:
    if not failures:
        return ReplyError("no JSON object found", 1, 1)
    furthest = max(failures, key=lambda failure: failure.extent)
    return _error(text, furthest.position, furthest.reason, truncated=failures[-1].cut)


def _parse_scalar[T](text: str, findings: Findings, schema: Schema[T]) -> Reply[T] | None:
    """Return the value of a reply that is nothing but a number, string or word, if the schema accepts it."""
    answer = without_fence(text[findings.answer_start :])
    if not answer:
        return None
    try:
        document = read(f"[{answer}\n]", 0)
    except LenientJSONError:
        values: JSON = []
    else:
        values = document.value
        if isinstance(values, list) and len(values) == 1 and not isinstance(values[0], dict):
            outcome = schema.fit(values[0])
            if isinstance(outcome, Fit):
                return Reply(outcome.value, _sorted(document.repairs))
    outcome = schema.fit(answer)
    return Reply(outcome.value, ("unquoted text",)) if isinstance(outcome, Fit) else None


def _sorted(repairs: set[str] | frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(repairs))


def _position(path: Path, document: Document) -> int:
    """Offset of the value at a path, or of the closest container that the text has."""
    while path and path not in document.positions:
        path = path[:-1]
    return document.positions[path]


def _error(text: str, position: int, reason: str, *, truncated: bool = False) -> ReplyError:
    return ReplyError(reason, *_line_and_column(text, position), truncated=truncated)


def _line_and_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
