"""The real client cannot tell the provider on this machine from another, and it keeps many connections."""

import asyncio
import gc
import socket
import subprocess
import sys
import threading
import time
from asyncio.trsock import TransportSocket

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionUserMessageParam

from ai_base.testing.loopback import LoopbackProvider, Reply

pytestmark = pytest.mark.slow

HELLO: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Hello, who is there?"}]  # 20 bytes


def client(provider: LoopbackProvider) -> openai.OpenAI:
    return openai.OpenAI(base_url=provider.url, api_key="not-a-key", max_retries=0, timeout=60)


def ask(asker: openai.OpenAI) -> ChatCompletion:
    return asker.chat.completions.create(model="gpt-5-mini", messages=HELLO)


def test_answers_and_remembers_what_it_was_asked() -> None:
    before = time.monotonic()
    with LoopbackProvider(Reply(text="It is Ada", input_tokens=8000)) as provider, client(provider) as asker:
        answer = ask(asker)

    assert provider.url.startswith("http://127.0.0.1:")
    assert provider.url.endswith("/v1")
    assert (answer.model, answer.choices[0].message.content) == ("gpt-5-mini", "It is Ada")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (8000, 2, 8002)
    assert provider.count == len(provider.requests) == 1
    request = provider.requests[0]
    assert request.body == {"model": "gpt-5-mini", "messages": HELLO}
    assert request.headers["authorization"] == "Bearer not-a-key"
    assert before <= request.at <= time.monotonic()


def test_sends_the_headers_of_a_provider() -> None:
    with LoopbackProvider(Reply(headers={"x-own": "yes"})) as provider, client(provider) as asker:
        headers = asker.chat.completions.with_raw_response.create(model="m", messages=[]).headers

    assert headers["x-request-id"] == "req_1"
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("10000", "9999")
    assert headers["x-own"] == "yes"


@pytest.mark.parametrize(("wanted", "tokens"), [(True, 5), (False, None)])
def test_streams_word_by_word_with_usage_where_asked(slept: list[float], *, wanted: bool, tokens: int | None) -> None:
    with LoopbackProvider(Reply(text="It is Ada", chunk_delay=0.01)) as provider, client(provider) as asker:
        chunks = list(
            asker.chat.completions.create(
                model="m",
                messages=HELLO,
                stream=True,
                stream_options={"include_usage": wanted},
            )
        )

    assert [chunk.choices[0].delta.content for chunk in chunks if chunk.choices] == [None, "It", " is", " Ada", None]
    assert chunks[4].choices[0].finish_reason == "stop"
    assert (chunks[-1].usage.prompt_tokens if chunks[-1].usage else None) == tokens
    assert slept.count(0.01) >= 5


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of every `asyncio.sleep`, which ends at once."""
    seconds: list[float] = []
    real = asyncio.sleep

    async def sleep(delay: float) -> None:
        seconds.append(delay)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return seconds


def test_behaves_as_told_by_each_request(slept: list[float]) -> None:
    replies = iter([Reply(text="first"), Reply(status=503), Reply(delay=50, text="late")])
    with LoopbackProvider(lambda _: next(replies)) as provider, client(provider) as asker:
        assert ask(asker).choices[0].message.content == "first"
        with pytest.raises(openai.InternalServerError) as caught:
            ask(asker)
        assert ask(asker).choices[0].message.content == "late"

    assert caught.value.body == {
        "message": "The server had an error",
        "type": "server_error",
        "param": None,
        "code": None,
    }
    assert 50 in slept


@pytest.mark.parametrize(("status", "phrase"), [(529, "Unknown"), (520, "Unknown"), (499, "Unknown"), (413, None)])
def test_any_status_can_be_sent(status: int, phrase: str | None) -> None:
    with LoopbackProvider(Reply(status=status)) as provider:
        answer = httpx2.post(f"{provider.url}/chat/completions", json={})

    assert answer.status_code == status
    assert phrase in (None, answer.reason_phrase)


def test_an_error_in_the_behaviour_fails_the_test() -> None:
    def broken(_: object) -> Reply:
        raise LookupError("in the behaviour")

    with pytest.raises(LookupError, match="in the behaviour"), LoopbackProvider(broken) as provider:  # noqa: SIM117
        with client(provider) as asker, pytest.raises(openai.InternalServerError):
            ask(asker)


def test_sends_a_body_as_it_is() -> None:
    with LoopbackProvider(Reply(raw='{"choices": [')) as provider:
        answer = httpx2.post(f"{provider.url}/chat/completions", json={})

    assert (answer.status_code, answer.text) == (200, '{"choices": [')


def test_resets_the_connection_in_the_middle() -> None:
    with LoopbackProvider(Reply(reset=True, text="a b c d")) as provider:
        host, port = provider.url.removeprefix("http://").removesuffix("/v1").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b'POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 16\r\n\r\n{"stream": true}')
            received = b""
            try:
                while data := connection.recv(65536):
                    received += data
            except ConnectionResetError:
                received += b" RST"

    assert received.endswith(b" RST")
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"content": "a"' in received
    assert b"[DONE]" not in received


def test_never_answers_when_it_hangs_and_still_stops() -> None:
    with (
        LoopbackProvider(Reply(hang=True)) as provider,
        client(provider) as asker,
        pytest.raises(openai.APITimeoutError),
    ):
        ask(asker.with_options(timeout=0.05))

    assert provider.count == 1


def test_stops_with_connections_open_and_leaves_no_thread() -> None:
    before = threading.active_count()
    with LoopbackProvider() as provider:
        asker = client(provider)
        ask(asker)

    assert threading.active_count() == before
    with pytest.raises(openai.APIConnectionError):
        ask(asker)
    asker.close()


def test_runs_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "ai_base.testing.loopback", "--delay", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            with openai.OpenAI(base_url=process.stdout.readline().strip(), api_key="none") as asker:
                assert ask(asker).choices[0].message.content == "ok"
        finally:
            process.terminate()


def test_small_packets_are_not_held_back() -> None:
    """Without TCP_NODELAY, delayed acknowledgements cost 40 ms a request."""
    with LoopbackProvider() as provider, client(provider) as asker:
        ask(asker)
        port = int(provider.url.split(":")[2].removesuffix("/v1"))
        sockets = [each for each in gc.get_objects() if isinstance(each, TransportSocket) and each.fileno() >= 0]
        served = [each for each in sockets if each.getsockname()[1] == port and not _listens(each)]

        assert [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in served] == [1]


def _listens(each: TransportSocket) -> bool:
    return bool(each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def test_serves_two_hundred_connections_at_once() -> None:
    """Bare sockets, so that the client costs little; 200 keep-alive connections, 20 requests each."""
    body = b'{"model": "m", "messages": [{"role": "user", "content": "Hello"}]}'
    request = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    async def converse(port: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answered = 0
        for _ in range(20):
            writer.write(request)
            top = await reader.readuntil(b"\r\n\r\n")
            length = int(top.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            answered += b'"content": "ok"' in await reader.readexactly(length)
        writer.close()
        await writer.wait_closed()
        return answered

    async def crowd(port: int) -> int:
        return sum(await asyncio.gather(*(converse(port) for _ in range(200))))

    with LoopbackProvider() as provider:
        answered = asyncio.run(crowd(int(provider.url.split(":")[2].removesuffix("/v1"))))

    assert answered == provider.count == 4000
