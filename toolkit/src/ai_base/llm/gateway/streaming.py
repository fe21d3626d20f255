"""Streamed replies: cleaned text, or snapshots of an object that is not complete yet."""

from collections.abc import AsyncIterator
from typing import Any

from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.models import StreamedResponse
from pydantic_core import from_json

from ai_base.llm.configuration.config import Output
from ai_base.llm.errors import TruncatedOutputError
from ai_base.llm.gateway.output import WRAPPED, object_type, read_text, write_text
from ai_base.llm.interaction import ActiveInteraction
from ai_base.text.clean import Cleaner, clean_value
from ai_base.text.scrub import scrub


async def stream_text(raw: StreamedResponse, call: ActiveInteraction, settings: Output) -> AsyncIterator[str]:
    """Yield the text in cleaned pieces, and record it.

    Raises:
        TruncatedOutputError: The stream ended before the reply was complete. Its beginning has been yielded.
        DeadlineExceededError: The interaction's time is up.
    """
    cleaner, received = Cleaner(settings.html), ""
    try:
        async for delta in _deltas(raw, call):
            if text := cleaner.feed(delta):
                received += text
                yield text
        if text := cleaner.close():
            received += text
            yield text
    finally:
        _record(call, raw, received)
    _require_complete(raw, received)


async def stream_object(
    raw: StreamedResponse,
    call: ActiveInteraction,
    output_type: Any,  # noqa: ANN401 - any type form
    settings: Output,
) -> AsyncIterator[Any]:
    """Yield snapshots of the incomplete object as plain, cleaned JSON values, and finally the validated output.

    Raises:
        InvalidOutputError: The complete reply does not fit the type.
        TruncatedOutputError: The stream ended before the reply was complete.
        DeadlineExceededError: The interaction's time is up.
    """
    text, latest, wrapped = "", None, object_type(output_type) is not output_type
    try:
        async for delta in _deltas(raw, call):
            text += delta
            snapshot = clean_value(_partial(text), settings.html)
            if wrapped and isinstance(snapshot, dict):
                snapshot = snapshot.get(WRAPPED)
            if snapshot is not None and snapshot != latest:
                latest = snapshot
                yield snapshot
        _require_complete(raw, text)
        output = read_text(text, output_type, settings).output
        text = write_text(output, output_type)
    finally:
        _record(call, raw, text)
    yield output


async def _deltas(raw: StreamedResponse, call: ActiveInteraction) -> AsyncIterator[str]:
    async for event in raw:
        call.remaining()
        if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
            yield event.part.content
        elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
            yield event.delta.content_delta


def _partial(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of the incomplete JSON object in the text; None if there is none yet."""
    try:
        return from_json(text[max(0, text.find("{")) :], allow_partial="trailing-strings")
    except ValueError:
        return None


def _require_complete(raw: StreamedResponse, received: str) -> None:
    if raw.finish_reason == "length":
        raise TruncatedOutputError(received)
    if not _has_finish_reason(raw):
        raise TruncatedOutputError(received, "the stream ended without a finish reason")


def _has_finish_reason(raw: StreamedResponse) -> bool:
    """Whether the provider said why the stream ended. A double, or the offline model, has no provider."""
    reported: bool | None = getattr(raw, "_has_finish_reason", None)  # pydantic-ai fills in `stop` if there was none
    if reported is not None:
        return reported
    return raw.finish_reason is not None or raw.provider_name is None


def _record(call: ActiveInteraction, raw: StreamedResponse, text: str) -> None:
    call.row.response, call.row.source, call.row.model = scrub(text), "model", raw.model_name
