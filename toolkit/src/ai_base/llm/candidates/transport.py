"""The HTTP client that all candidates share: small pools of connections, bounded responses, the provider's headers."""

import logging
import os
import ssl
import zlib
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.request import getproxies

from httpx2 import (
    AsyncBaseTransport,
    AsyncByteStream,
    AsyncClient,
    AsyncHTTPTransport,
    Limits,
    Request,
    Response,
    Timeout,
    create_ssl_context,
)

from ai_base.llm.errors import ConfigError

POOLS, SIZE = 16, 8
"""Number of pools, and requests that fill one. With each request a pool looks at each of its connections: with 100
requests in flight, this is a quarter faster than one pool."""
TAIL = 8192
"""Bytes of a body that are kept: its end holds the token counts."""
PIECE = 65_536
"""Bytes that are decompressed at a time."""


class ResponseTooLargeError(Exception):
    """The body of a response is larger than any answer of the permitted length."""


@dataclass
class Exchange:
    """The HTTP exchange of one attempt: how large a body may be (in bytes), the headers and the end of the body."""

    most_bytes: int
    headers: dict[str, str] = field(default_factory=dict)
    tail: bytes = b""


current_exchange: ContextVar[Exchange | None] = ContextVar("current_exchange", default=None)


def http_client() -> AsyncClient:
    """Make the client. It belongs to the event loop in which it is first used.

    Raises:
        ConfigError: A variable of the environment names a proxy or a certificate that cannot be used.
    """
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # every attempt has its own log line, which says more
    try:
        certificates = _load_certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        pools = {} if getproxies() else {"all://": Pools(certificates)}  # the client itself knows how to use a proxy
        return AsyncClient(
            verify=certificates,
            timeout=Timeout(600, connect=5),  # attempts have a time-out
            mounts=pools,
            event_hooks={"response": [_observe]},
            headers={"accept-encoding": "gzip, deflate"},  # `BoundedBody` reads these
        )
    except OSError as error:
        missing = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if not Path(os.environ.get(name, "/")).exists()]
        raise ConfigError(", ".join(missing) or "SSL_CERT_FILE", f"cannot be read: {error}") from error
    except (ImportError, ValueError) as error:  # a SOCKS proxy without its library, or no URL
        names = [f"{scheme}_PROXY" for scheme in ("ALL", "HTTPS", "HTTP")]
        found = [each for name in names for each in (name, name.lower()) if os.environ.get(each)]
        reason = "SOCKS needs another library: uv add socksio" if isinstance(error, ImportError) else str(error)
        raise ConfigError(", ".join(found) or "proxy", f"this proxy cannot be used: {reason}") from error


@cache
def _load_certificates(*_variables: str | None) -> ssl.SSLContext:
    """Read the trusted certificates, once for each value of the variables: it takes up to a tenth of a second."""
    return create_ssl_context()


async def _observe(response: Response) -> None:
    if (exchange := current_exchange.get()) is None:
        return
    exchange.headers.update(response.headers)
    if isinstance(response.stream, AsyncByteStream):
        coding = response.headers.pop("content-encoding", "identity").strip().lower()
        response.stream = BoundedBody(response.stream, coding, exchange)


class BoundedBody(AsyncByteStream):
    """A body that is decompressed piece by piece, and refused once it is too large."""

    def __init__(self, inner: AsyncByteStream, coding: str, exchange: Exchange) -> None:
        self._inner, self._coding, self._exchange = inner, coding, exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the decompressed body.

        Raises:
            ResponseTooLargeError: It is too large, or is compressed in a way that was not offered.
        """
        if self._coding not in ("identity", "gzip", "x-gzip", "deflate"):
            raise ResponseTooLargeError(f"its size is unknown: content-encoding {self._coding[:40]!r}")
        inflate = None if self._coding == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)  # either format
        size, exchange = 0, self._exchange
        async for chunk in self._inner:
            for piece in _pieces(chunk, inflate) if inflate else (chunk,):
                size += len(piece)
                if size > exchange.most_bytes:
                    raise ResponseTooLargeError(f"the response has more than {exchange.most_bytes:,} bytes")
                exchange.tail = (exchange.tail + piece)[-TAIL:]
                yield piece

    async def aclose(self) -> None:
        """Close the connection, or return it to its pool."""
        await self._inner.aclose()


def _pieces(chunk: bytes, inflate: "zlib._Decompress") -> Iterator[bytes]:
    while piece := inflate.decompress(chunk, PIECE):
        yield piece
        chunk = inflate.unconsumed_tail


class Pools(AsyncBaseTransport):
    """Uses the first pool that is not full, so that few callers keep few connections."""

    def __init__(self, certificates: ssl.SSLContext) -> None:
        limits = Limits(max_keepalive_connections=None, keepalive_expiry=30)
        self._pools = [AsyncHTTPTransport(verify=certificates, limits=limits) for _ in range(POOLS)]
        self._busy = [0] * POOLS

    async def handle_async_request(self, request: Request) -> Response:
        """Send a request."""
        at = next((n for n, busy in enumerate(self._busy) if busy < SIZE), self._busy.index(min(self._busy)))
        self._busy[at] += 1
        try:
            return await self._pools[at].handle_async_request(request)
        finally:
            self._busy[at] -= 1

    async def aclose(self) -> None:
        """Close every connection."""
        for pool in self._pools:
            await pool.aclose()
