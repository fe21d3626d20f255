"""A provider on this machine: a real HTTP server that speaks Chat Completions, and fails as real providers do."""

import argparse
import asyncio
import gzip
import http.client
import json
import re
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple, Self

LIMIT = 10_000  # requests that are kept (a benchmark sends more), and requests per window of the rate limit
ERRORS: Mapping[int, tuple[str, str, str | None]] = {
    400: ("Invalid type for 'messages'", "invalid_request_error", "invalid_type"),
    401: ("Incorrect API key provided", "invalid_request_error", "invalid_api_key"),
    404: ("The model has been retired", "invalid_request_error", "model_not_found"),
    429: ("Rate limit reached", "requests", "rate_limit_exceeded"),
}
"""Message, type and code in the body of a failure, by status; any other is a server error."""


SERVER_ERROR = ("The server had an error", "server_error", None)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """How to answer one request; times in seconds."""

    text: str = "ok"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    chunk_delay: float = 0.0  # before each chunk of a stream
    input_tokens: int | None = None  # billed; None: a quarter of the bytes of the messages
    output_tokens: int | None = None
    finish_reason: str = "stop"
    reset: bool = False  # break the connection off with RST, half of the answer sent
    hang: bool = False  # never answer
    raw: str | None = None  # the body as it is, be it JSON or not
    error: tuple[str, str, str | None] | None = None  # message, type and code of a failure; None: those of its status
    refusal: str | None = None  # a refusal in place of the text
    usage: Mapping[str, Any] | None = None  # the usage report, in place of the one that the tokens give
    usage_in_each_chunk: bool = False  # of a stream
    compress: bool = False  # gzip, whether that was asked for or not


class Request(NamedTuple):
    """What a client sent: the parsed body, headers in lower case, and `time.monotonic()` at its arrival."""

    body: dict[str, Any]
    headers: dict[str, str]
    at: float


class LoopbackProvider:
    """Serves on 127.0.0.1 inside its context. What `behaviour` raises is raised again at its end."""

    def __init__(self, behaviour: Callable[[dict[str, Any]], Reply] | Reply | None = None, *, port: int = 0) -> None:
        self.behaviour, self.count, self.connections = behaviour or Reply(), 0, 0
        self.requests: deque[Request] = deque(maxlen=LIMIT)
        self._port = port
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=1024)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._loop, self._stopped = asyncio.new_event_loop(), asyncio.Event()
        run = partial(asyncio.run, self._serve(), loop_factory=lambda: self._loop)
        self._thread = threading.Thread(target=run, name="loopback provider", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()
        if self._error:
            raise self._error

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._serve_connection, sock=self._listener, limit=1 << 24)
        await self._stopped.wait()
        server.close()  # the end of the loop cancels the open connections

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            # asyncio does this itself, but not for sockets that were accepted from a listener of ours.
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                while True:
                    await self._answer(reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        top = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = {key.lower(): value for key, value in re.findall(r"(\S+): *(.*?)\r\n", top)}
        body: dict[str, Any] = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"{}")
        self.count += 1
        self.requests.append(Request(body, headers, time.monotonic()))
        try:
            reply = self.behaviour if isinstance(self.behaviour, Reply) else self.behaviour(body)
        except Exception as error:  # noqa: BLE001 - raised where the context ends
            self._error, reply = self._error or error, Reply(status=500)
        await asyncio.sleep(reply.delay)
        if reply.hang:
            await reader.read()  # until the client gives up
            return
        stream = bool(body.get("stream")) and reply.status == HTTPStatus.OK and reply.raw is None
        whole = _document(reply, body) if reply.raw is None else reply.raw.encode()
        if reply.compress:
            whole = gzip.compress(whole)
        frames = [*_events(reply, body), b"data: [DONE]\n\n", b""] if stream else [whole]
        headers = {
            "content-type": "text/event-stream" if stream else "application/json",
            "transfer-encoding" if stream else "content-length": "chunked" if stream else str(len(frames[0])),
            "x-request-id": f"req_{self.count}",
            "x-ratelimit-limit-requests": str(LIMIT),
            "x-ratelimit-remaining-requests": str(LIMIT - self.count % LIMIT),
            **({"content-encoding": "gzip"} if reply.compress else {}),
            **reply.headers,
        }
        top = f"HTTP/1.1 {reply.status} {http.client.responses.get(reply.status, 'Unknown')}\r\n"
        writer.write((top + "".join(f"{key}: {value}\r\n" for key, value in headers.items()) + "\r\n").encode())
        for frame in frames[: len(frames) // 2] if reply.reset else frames:
            await asyncio.sleep(reply.chunk_delay if stream else 0)
            writer.write(b"%x\r\n%b\r\n" % (len(frame), frame) if stream else frame)
            await writer.drain()
        if reply.reset:  # to linger for 0 s is to close with RST
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


def _document(reply: Reply, body: dict[str, Any]) -> bytes:
    if reply.status != HTTPStatus.OK:
        message, kind, code = reply.error or ERRORS.get(reply.status, SERVER_ERROR)
        return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()
    content = {"content": reply.text} if reply.refusal is None else {"content": None, "refusal": reply.refusal}
    choice = {"message": {"role": "assistant", **content}, "finish_reason": reply.finish_reason}
    return _object("chat.completion", body, choices=[{"index": 0, **choice}], usage=_usage(reply, body))


def _events(reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
    key, text = ("content", reply.text) if reply.refusal is None else ("refusal", reply.refusal)
    deltas = [{"role": "assistant"}, *({key: word} for word in re.findall(r"\s*\S+|\s+", text)), {}]
    usage = {"usage": _usage(reply, body)} if reply.usage_in_each_chunk else {}
    for delta in deltas:
        choice = {"index": 0, "delta": delta, "finish_reason": None if delta else reply.finish_reason}
        yield b"data: %b\n\n" % _object("chat.completion.chunk", body, choices=[choice], **usage)
    if (body.get("stream_options") or {}).get("include_usage"):
        yield b"data: %b\n\n" % _object("chat.completion.chunk", body, choices=[], usage=_usage(reply, body))


def _object(kind: str, body: dict[str, Any], **content: object) -> bytes:
    head = {"id": f"chatcmpl-{time.time_ns():x}", "object": kind, "created": int(time.time())}
    return json.dumps({**head, "model": body.get("model", ""), **content}).encode()


def _usage(reply: Reply, body: dict[str, Any]) -> Mapping[str, Any]:
    if reply.usage is not None:
        return reply.usage
    asked = "".join(str(message.get("content")) for message in body.get("messages", ()))
    used = reply.input_tokens if reply.input_tokens is not None else max(1, len(asked.encode()) // 4)
    made = reply.output_tokens if reply.output_tokens is not None else max(1, len(reply.text.encode()) // 4)
    return {"prompt_tokens": used, "completion_tokens": made, "total_tokens": used + made}


def main() -> None:
    """Serve until the process is stopped. The first line of standard output is the URL."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    given = parser.parse_args()
    with suppress(KeyboardInterrupt), LoopbackProvider(Reply(delay=given.delay), port=given.port) as provider:
        print(provider.url, flush=True)  # noqa: T201 - the parent process reads it
        threading.Event().wait()


if __name__ == "__main__":
    main()
