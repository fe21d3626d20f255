"""Guarded streams: returned after the first event, ended by the deadline, without a slot while the reader works."""

import asyncio
from collections.abc import AsyncIterator

from pydantic_ai.messages import ModelResponseStreamEvent
from pydantic_ai.models import StreamedResponse

from ai_base.llm.candidates.limiter import Slot
from ai_base.llm.errors import DeadlineExceededError
from ai_base.llm.interaction import ActiveInteraction


async def begin(stream: StreamedResponse, call: ActiveInteraction, slot: Slot) -> None:
    """Wait for the first event. An error before it is raised here, so that another candidate can be asked."""
    events = aiter(stream)
    first = await anext(events, None)
    slot.give_back()
    # The client library replays a first event in the same way.
    stream._event_iterator = _replay(first, events, call, slot)  # noqa: SLF001


async def _replay(
    first: ModelResponseStreamEvent | None,
    events: AsyncIterator[ModelResponseStreamEvent],
    call: ActiveInteraction,
    slot: Slot,
) -> AsyncIterator[ModelResponseStreamEvent]:
    """Yield all events. The slot is taken only while the provider is waited for, not while the reader works."""
    event = first
    while event is not None:
        yield event
        slot.take_again()
        try:
            async with asyncio.timeout(call.remaining()):
                event = await anext(events, None)
        except TimeoutError as error:
            raise DeadlineExceededError(call.deadline) from error
        slot.give_back()
