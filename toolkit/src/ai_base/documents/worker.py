"""One warm process that parses documents, with limits of time, CPU and memory. A hostile file costs only itself.

Parent and worker exchange a line of JSON and then the bytes that it announces. The worker gets no environment variables
but the import path, so there is no secret in it to be stolen.
"""

import asyncio
import json
import os
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from ai_base.documents.errors import UnreadableError
from ai_base.documents.parsing import PARSERS, decode, kind_of, to_markdown

MEGABYTE = 1_000_000


@dataclass
class ParsingWorker:
    """Parses one document at a time; others wait for their turn. An asynchronous context manager.

    `seconds` limits the time and the CPU time a document, `megabytes` the memory of the process,
    `text_megabytes` the text that comes out.
    """

    seconds: float = 30
    megabytes: int = 1000
    text_megabytes: int = 50
    started: int = field(default=0, init=False)
    """How many processes were started; more than one means that a document ended its process."""
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def parse(self, name: str, content: bytes) -> str:
        """Return a document as Markdown.

        Raises:
            UnreadableError: It cannot be read, or not within the limits.
        """
        if PARSERS.get(kind_of(name)) is decode:  # nothing is parsed that could do harm
            body, problem = _parse(name, content, self.megabytes, self.text_megabytes)
            if problem:
                raise UnreadableError(name, problem)
            return body.decode()
        async with self._turn:
            try:
                process = await self._ready()
                async with asyncio.timeout(self.seconds):
                    return await _exchange(process, name, content)
            except TimeoutError:
                await self._stop()
                raise UnreadableError(name, f"not parsed within {self.seconds:g} s") from None
            except (asyncio.IncompleteReadError, ConnectionError):
                await self._stop()
                raise UnreadableError(name, "the parser's process ended; it was not parsed within the limits") from None
            except asyncio.CancelledError:
                await self._stop()
                raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _ready(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            limits = [str(self.seconds), str(self.megabytes), str(self.text_megabytes)]
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", __name__, *limits),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"},
                start_new_session=True,  # Ctrl-C is for the parent, which ends it in order
            )
            self.started += 1
            await _pipes(self._process)[1].readuntil()  # it has loaded its libraries, which no document pays for
        return self._process

    async def _stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._process = None


async def _exchange(process: asyncio.subprocess.Process, name: str, content: bytes) -> str:
    requests, replies = _pipes(process)
    requests.write(json.dumps({"name": name, "size": len(content)}).encode() + b"\n")
    requests.write(content)
    await requests.drain()
    header = json.loads(await replies.readuntil())
    body = await replies.readexactly(header["size"])
    if header["error"]:
        raise UnreadableError(name, header["error"])
    return body.decode()


def _pipes(process: asyncio.subprocess.Process) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    if process.stdin is None or process.stdout is None:
        raise ConnectionError("the worker has no pipes")
    return process.stdin, process.stdout


# ---- In the worker ----


def _serve(seconds: float, megabytes: int, text_megabytes: int) -> None:
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the replies
    resource.setrlimit(resource.RLIMIT_AS, (megabytes * MEGABYTE, megabytes * MEGABYTE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import html_to_markdown  # noqa: F401, PLC0415 - no document pays for it
    import pypdf  # noqa: F401, PLC0415

    replies.write(b"ready\n")
    replies.flush()
    while line := requests.readline():
        header = json.loads(line)
        content = requests.read(header["size"])
        used = resource.getrusage(resource.RUSAGE_SELF)
        allowed = int(used.ru_utime + used.ru_stime + seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.RLIM_INFINITY))
        body, error = _parse(header["name"], content, megabytes, text_megabytes)
        del content
        replies.write(json.dumps({"size": len(body), "error": error}).encode() + b"\n")
        replies.write(body)
        replies.flush()


def _parse(name: str, content: bytes, megabytes: int, text_megabytes: int) -> tuple[bytes, str]:
    """Return the text and no error, or an error and no text."""
    try:
        body = to_markdown(name, content).encode()
    except MemoryError:
        return b"", f"parsing it takes more than {megabytes} MB"
    except Exception as error:  # noqa: BLE001 - a parser may raise anything; it is the document's own failure
        reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
        return b"", reason[:500]
    if len(body) > text_megabytes * MEGABYTE:
        return b"", f"its text has more than {text_megabytes} MB"
    return body, ""


if __name__ == "__main__":
    _serve(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
