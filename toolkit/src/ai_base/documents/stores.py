"""The stores of documents: a local folder, and object stores through obstore."""

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from ai_base.documents.errors import LocationError, UnreadableError

if TYPE_CHECKING:
    from obstore.store import ObjectStore


@dataclass(frozen=True)
class Document:
    """A document in a store. Its path is relative to the store's URL; a new ETag means that it may have changed."""

    path: str
    size: int
    etag: str


class Store(Protocol):
    """Where documents are. Its methods raise `LocationError`."""

    def list(self) -> AsyncGenerator[Document]:
        """Yield all documents."""

    async def read(self, path: str, limit: int) -> bytes:
        """Return a document's content; of a larger one than `limit`, one byte more than `limit`."""

    async def write(self, path: str, content: bytes) -> None:
        """Create or replace a document."""


def open_store(url: str, timeout: float) -> Store:
    """Return the store of a URL. A text without a scheme is the path of a folder.

    Raises:
        LocationError: The URL is not one of a store, or a setting is missing.
    """
    parts = urlsplit(url)
    if "://" not in url:
        return LocalFolder(Path(url))
    if parts.scheme == "file":
        return LocalFolder(Path(unquote(parts.path)))
    if parts.scheme not in ("memory", "s3", "gs", "az"):
        raise LocationError(url, "the scheme must be one of file, memory, s3, gs, az")
    return Bucket(url, timeout)


class LocalFolder:
    """A folder. Links to folders are not followed; a link to a file is, if the file lies below the folder."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._location = root.resolve().as_uri()

    async def list(self) -> AsyncGenerator[Document]:
        """Yield all regular files and links (see `Store`)."""
        folders = [self._root]
        while folders:
            with _reasons(self._location), os.scandir(folders.pop()) as found:
                entries = sorted(found, key=lambda entry: entry.name)
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                    yield self._describe(entry)

    async def read(self, path: str, limit: int) -> bytes:
        """Return a file's content (see `Store`)."""
        with _reasons(self._location):
            return await asyncio.to_thread(self._read, path, limit)

    async def write(self, path: str, content: bytes) -> None:
        """Create or replace a file (see `Store`)."""
        with _reasons(self._location):
            await asyncio.to_thread(self._write, path, content)

    def _read(self, path: str, limit: int) -> bytes:
        target = Path(os.path.realpath(self._root / path, strict=True))
        if not target.is_relative_to(self._root):
            raise UnreadableError(path, "a link out of the root")
        if not target.is_file():
            raise UnreadableError(path, "not a regular file")
        with target.open("rb") as opened:
            return opened.read(limit + 1)

    def _write(self, path: str, content: bytes) -> None:
        target = Path(os.path.realpath(self._root / path))
        if not target.is_relative_to(self._root):
            raise UnreadableError(path, "outside of the root")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def _describe(self, entry: os.DirEntry[str]) -> Document:
        path = os.path.relpath(entry.path, self._root)
        readable = path.encode("utf-8", "backslashreplace").decode()  # some names are not UTF-8
        try:
            found = entry.stat()
        except OSError:  # a link to nowhere, or to itself
            return Document(readable, 0, "")
        return Document(readable, found.st_size, f"{found.st_mtime_ns}-{found.st_size}-{found.st_ino}")


class Bucket:
    """An object store, or the part of it below a prefix."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url, self._timeout = url, timeout
        with _reasons(url):
            self._store = _memory_store(url) if url.startswith("memory:") else _remote_store(url, timeout)

    async def list(self) -> AsyncGenerator[Document]:
        """Yield all objects (see `Store`)."""
        import obstore  # noqa: PLC0415 - not needed for a folder

        stream = obstore.list(self._store, chunk_size=500)
        with _reasons(self._url):
            while True:
                try:
                    async with asyncio.timeout(self._timeout):
                        page = await anext(stream)
                except StopAsyncIteration:
                    return
                for each in page:
                    yield Document(each["path"], each["size"], each["e_tag"] or str(each["last_modified"]))

    async def read(self, path: str, limit: int) -> bytes:
        """Return an object's content (see `Store`)."""
        import obstore  # noqa: PLC0415

        with _reasons(self._url):
            async with asyncio.timeout(self._timeout):
                found = await obstore.get_async(self._store, path)
                if found.meta["size"] > limit:
                    raise UnreadableError(path, f"{found.meta['size']:,} bytes, more than {limit:,}")
                return bytes(await found.bytes_async())

    async def write(self, path: str, content: bytes) -> None:
        """Create or replace an object (see `Store`)."""
        import obstore  # noqa: PLC0415

        with _reasons(self._url):
            async with asyncio.timeout(self._timeout):
                await obstore.put_async(self._store, path, content)


_memory_stores: dict[str, "ObjectStore"] = {}
"""By name: obstore's own are a new one each time."""


def _memory_store(url: str) -> "ObjectStore":
    from obstore.store import MemoryStore  # noqa: PLC0415

    name = url.partition("://")[2].rstrip("/")
    return _memory_stores.setdefault(name, MemoryStore())


def _remote_store(url: str, timeout: float) -> "ObjectStore":
    from obstore.store import from_url  # noqa: PLC0415

    seconds = timedelta(seconds=timeout)
    allow_http = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    return from_url(
        url,
        client_options={
            "timeout": seconds,
            "connect_timeout": min(seconds, timedelta(seconds=5)),
            "allow_http": allow_http,
        },
        retry_config={"max_retries": 2, "retry_timeout": seconds},
    )


@contextmanager
def _reasons(location: str) -> Iterator[None]:
    """Turn what a store raises into a `LocationError` that says what is wrong."""
    from obstore import exceptions  # noqa: PLC0415

    try:
        yield
    except TimeoutError as error:
        raise LocationError(location, "no answer in time") from error
    except (exceptions.UnauthenticatedError, exceptions.PermissionDeniedError, PermissionError) as error:
        raise LocationError(location, f"access refused: {_first_line(error)}") from error
    except (exceptions.BaseError, OSError, ValueError) as error:  # ValueError: a name that the store cannot have
        raise LocationError(location, _first_line(error)) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300]
