"""The process that parses: what one hostile file can do to the others."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from document_cases import endless_pdf, pdf, pdf_of_stream, zip_bomb_pdf

from ai_base.documents.errors import UnreadableError
from ai_base.documents.worker import ParsingWorker

pytestmark = pytest.mark.slow


@pytest.fixture
async def worker() -> AsyncIterator[ParsingWorker]:
    async with ParsingWorker(seconds=60) as opened:
        yield opened


async def test_one_process_parses_all(worker: ParsingWorker) -> None:
    assert await worker.parse("a.pdf", pdf("Hello world")) == "# Page 1\n\nHello world"
    assert await worker.parse("a.html", b"<h1>Hello") == "# Hello\n"
    with pytest.raises(UnreadableError, match=r"^b.csv: neither UTF-8"):
        await worker.parse("b.csv", b"\xff\xfe\xff")
    assert await worker.parse("c.csv", b"a,b\n1,2") == "a: 1\nb: 2"
    assert worker.started == 1


async def test_plain_text_needs_no_process(worker: ParsingWorker) -> None:
    assert await worker.parse("a.md", b"# Hello") == "# Hello"
    with pytest.raises(UnreadableError, match=r"^a.md: there is no text"):
        await worker.parse("a.md", b"")
    assert worker.started == 0


async def test_a_pdf_without_text_is_unreadable(worker: ParsingWorker) -> None:
    with pytest.raises(UnreadableError, match="no text on any of its 1 pages"):
        await worker.parse("scan.pdf", pdf_of_stream(b""))


async def test_an_endless_file_costs_itself_only() -> None:
    async with ParsingWorker(seconds=1) as worker:
        with pytest.raises(UnreadableError, match="not parsed within"):
            await worker.parse("endless.pdf", endless_pdf())
    async with ParsingWorker(seconds=60) as worker:
        await worker.parse("a.csv", b"a\n1")
        worker.seconds = 1
        with pytest.raises(UnreadableError):
            await worker.parse("endless.pdf", endless_pdf())
        worker.seconds = 60
        assert await worker.parse("a.csv", b"a\n1") == "a: 1"
        assert worker.started == 2


async def test_a_zip_bomb_is_refused() -> None:
    async with ParsingWorker(seconds=60, megabytes=500) as worker:
        with pytest.raises(UnreadableError):
            await worker.parse("bomb.pdf", zip_bomb_pdf())
        assert await worker.parse("a.pdf", pdf("next")) == "# Page 1\n\nnext"


async def test_memory_is_limited() -> None:
    async with ParsingWorker(seconds=60, megabytes=300) as worker:
        with pytest.raises(UnreadableError, match="more than 300 MB"):
            await worker.parse("a.csv", b"a,b\n" + b'"x","y"\n' * 20_000_000)
        assert await worker.parse("a.csv", b"a\n1") == "a: 1"


async def test_text_is_limited() -> None:
    async with ParsingWorker(text_megabytes=1) as worker:
        with pytest.raises(UnreadableError, match="its text has more than 1 MB"):
            await worker.parse("a.csv", b"a\n" + b"1\n" * 500_000)


async def test_a_process_that_is_killed_is_replaced(worker: ParsingWorker) -> None:
    process = await worker._ready()  # noqa: SLF001 - whom to kill
    parsing = asyncio.create_task(worker.parse("endless.pdf", endless_pdf()))
    await asyncio.sleep(0.1)
    process.kill()
    with pytest.raises(UnreadableError, match="process ended"):
        await parsing
    assert await worker.parse("a.csv", b"a\n1") == "a: 1"


async def test_a_cancelled_caller_leaves_no_reply_for_the_next(worker: ParsingWorker) -> None:
    await worker.parse("a.csv", b"a\n1")
    parsing = asyncio.create_task(worker.parse("endless.pdf", endless_pdf()))
    await asyncio.sleep(0.2)
    parsing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await parsing
    assert await worker.parse("b.csv", b"b\n2") == "b: 2"


def run_worker(request: bytes, *limits: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "ai_base.documents.worker", *limits]
    return subprocess.run(
        command, input=request, capture_output=True, timeout=120, check=False, env={**os.environ, **environment}
    )


def test_a_worker_without_a_parent_ends_by_its_limit_of_cpu_time() -> None:
    content = endless_pdf()
    header = json.dumps({"name": "endless.pdf", "size": len(content)}).encode() + b"\n"
    assert run_worker(header + content, "1", "1000", "50").returncode == -signal.SIGXCPU


async def test_the_worker_sees_no_secrets(worker: ParsingWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    await worker.parse("a.csv", b"a\n1")
    assert worker._process is not None  # noqa: SLF001
    with open(f"/proc/{worker._process.pid}/environ", "rb") as file:  # noqa: ASYNC230, PTH123, SLF001
        environment = file.read()
    assert b"PYTHONPATH" in environment
    assert b"sk-secret" not in environment
