"""The stores of documents: a local folder, and object stores through obstore."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore import exceptions
from obstore.store import MemoryStore, ObjectStore, from_url

from ai_base.documents.errors import LocationError, UnreadableError


@dataclass(frozen=True)
class Document:
    """A document in a store. Its path is relative to the store's URL; a new ETag means that it may have changed."""

    path: str
    size: int
    etag: str


class LocalFolder:
    """A folder. Links to folders are not followed; a link to a file is, if the file lies below the folder."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._location = Path(self._root).as_uri()

    async def list(self) -> AsyncGenerator[Document]:
        """Yield all regular files and links."""
        folders = [self._root]
        while folders:
            with _reasons(self._location), os.scandir(folders.pop()) as found:
                entries = sorted(found, key=lambda entry: entry.name)
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                    yield self._describe(entry)

    async def read(self, path: str, limit: int) -> bytes:
        """Return a file's content, unless it is larger than `limit`."""
        with _reasons(self._location):
            target = self._inside(path)
            if not target.is_file():
                raise UnreadableError(path, "it does not exist, or is not a regular file")
            with target.open("rb") as opened:
                content = opened.read(limit + 1)
            if len(content) > limit:
                raise UnreadableError(path, f"more than {limit:,} bytes")
            return content

    async def write(self, path: str, content: bytes) -> None:
        """Create or replace a file."""
        with _reasons(self._location):
            target = self._inside(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def _describe(self, entry: os.DirEntry[str]) -> Document:
        path = entry.path[len(self._root) :].lstrip("/").encode("utf-8", "backslashreplace").decode()
        try:
            found = entry.stat()
        except OSError:  # a link to nowhere, or to itself
            return Document(path, 0, "")
        return Document(path, found.st_size, f"{found.st_mtime_ns}-{found.st_size}-{found.st_ino}")

    def _inside(self, path: str) -> Path:
        target = os.path.realpath(os.path.join(self._root, path))  # noqa: PTH118 - half of the time that a Path takes
        if not target.startswith(os.path.join(self._root, "")):  # noqa: PTH118
            raise UnreadableError(path, "a link out of the root")
        return Path(target)


ENDPOINTS = ("AWS_ENDPOINT_URL", "AZURE_STORAGE_ENDPOINT", "GOOGLE_BASE_URL")
"""Variables that name a server of one's own, which may be one without encryption."""

_memory_stores: dict[str, MemoryStore] = {}
"""By URL: obstore's own are a new one each time."""


class Bucket:
    """An object store, or the part of it below a prefix. Each request is given up after `timeout` seconds."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url, self._timeout, seconds = url, timeout, timedelta(seconds=timeout)
        self._store: ObjectStore
        if url.startswith("memory:"):
            self._store = _memory_stores.setdefault(url.rstrip("/"), MemoryStore())
            return
        allow_http = any(os.environ.get(name, "").startswith("http://") for name in ENDPOINTS)
        with _reasons(url):
            self._store = from_url(
                url,
                client_options={"timeout": seconds, "allow_http": allow_http},
                retry_config={"max_retries": 2, "retry_timeout": seconds},
            )

    async def list(self) -> AsyncGenerator[Document]:
        """Yield all objects, but not the empty ones that stand for folders."""
        stream = obstore.list(self._store, chunk_size=500)
        while page := await self._within_timeout(anext(stream, None)):
            for each in page:
                if each["size"] or "." in each["path"].rpartition("/")[2]:
                    yield Document(each["path"], each["size"], each["e_tag"] or str(each["last_modified"]))

    async def read(self, path: str, limit: int) -> bytes:
        """Return an object's content; of a larger one than `limit`, nothing is transferred."""
        found = await self._within_timeout(obstore.get_async(self._store, path))
        if found.meta["size"] > limit:
            raise UnreadableError(path, f"{found.meta['size']:,} bytes, more than {limit:,}")
        return bytes(await self._within_timeout(found.bytes_async()))

    async def write(self, path: str, content: bytes) -> None:
        """Create or replace an object."""
        await self._within_timeout(obstore.put_async(self._store, path, content))

    async def _within_timeout[R](self, request: Awaitable[R]) -> R:
        with _reasons(self._url):
            async with asyncio.timeout(self._timeout):
                return await request


type Store = LocalFolder | Bucket


def open_store(url: str, timeout: float) -> Store:
    """Return the store of a URL. A text without a scheme is the path of a folder.

    Raises:
        LocationError: The URL is not one of a store, or a setting is missing.
    """
    parts = urlsplit(url)
    if "://" not in url:
        return LocalFolder(Path(url))
    if parts.scheme == "file":
        if parts.netloc or not parts.path:
            raise LocationError(url, "write three slashes and the absolute path of a folder, or its path alone")
        return LocalFolder(Path(unquote(parts.path)))
    if parts.scheme not in ("memory", "s3", "gs", "az"):
        raise LocationError(url, "the scheme must be one of file, memory, s3, gs, az")
    return Bucket(url, timeout)


@contextmanager
def _reasons(location: str) -> Iterator[None]:
    """Turn what a store raises into a `LocationError` that says what is wrong."""
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
