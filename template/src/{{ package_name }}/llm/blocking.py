"""The gateway for code that does not await: scripts and interactive sessions."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Self

from anyio.from_thread import start_blocking_portal

from .answers import Answer
from .gateway import Gateway


class BlockingGateway:
    """A gateway whose `ask` waits for the answer, whatever event loop may be running."""

    def __init__(self, ask: Callable[..., Answer[Any]]) -> None:
        self._ask = ask

    @classmethod
    @contextmanager
    def open(cls, **options: Any) -> Iterator[Self]:  # noqa: ANN401 - the options of Gateway.open
        """Open a gateway in a thread of its own, with the options of `Gateway.open`."""
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(Gateway.open(**options)) as gateway:
            yield cls(lambda *args, **kwargs: portal.call(partial(gateway.ask, *args, **kwargs)))

    def ask(self, prompt: str, variables: Mapping[str, object], **options: Any) -> Answer[Any]:  # noqa: ANN401
        """Ask as `Gateway.ask` does."""
        return self._ask(prompt, variables, **options)
