"""Where documents live: a URL. Lists them, reads them, and tells what changed since the last time."""

import hashlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from ai_base.documents.errors import LocationError, UnreadableError
from ai_base.documents.stores import Document, Store, open_store

MAX_BYTES = 20_000_000


@dataclass(frozen=True)
class Known:
    """What an index remembers of a document: its version at the store, and the SHA-256 of its content."""

    etag: str
    digest: str


@dataclass(frozen=True)
class Change:
    """A difference between the repository and what is known of it.

    `touched`: the ETag is a new one, the content is the same. `unread`: the content could not be read; `problem` says
    why. `content` is there for new and changed documents only.
    """

    kind: Literal["new", "changed", "touched", "gone", "unread"]
    path: str
    etag: str = ""
    digest: str = ""
    content: bytes = b""
    problem: str = ""


class DocumentRepository:
    """The documents below a URL: `file://`, `memory://name`, `s3://`, `gs://` or `az://`, or a folder's path.

    Credentials and endpoints of object stores come from the usual environment variables, such as `AWS_ACCESS_KEY_ID`
    and `AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS` and `GOOGLE_BASE_URL`, or `AZURE_STORAGE_ACCOUNT_KEY` and
    `AZURE_STORAGE_ENDPOINT`. `timeout` (seconds) bounds each request.
    """

    def __init__(self, url: str, *, max_bytes: int = MAX_BYTES, timeout: float = 30) -> None:
        self.url, self.max_bytes = url, max_bytes
        self._store: Store = open_store(url, timeout)

    async def list(self, glob: str = "*") -> AsyncGenerator[Document]:
        """Yield the documents whose path matches; `*` matches `/` as well.

        Raises:
            LocationError: The place cannot be listed.
        """
        async with aclosing(self._store.list()) as documents:
            async for document in documents:
                if fnmatchcase(document.path, glob):
                    yield document

    async def read(self, path: str) -> bytes:
        """Return a document's content.

        Raises:
            UnreadableError: It is larger than `max_bytes`, or a link out of the root.
            LocationError: It does not exist, or it cannot be accessed.
        """
        return await self._store.read(path, self.max_bytes)

    async def write(self, path: str, content: bytes) -> None:
        """Create or replace a document."""
        await self._store.write(path, content)

    async def changes(self, known: Mapping[str, Known], glob: str = "*") -> AsyncGenerator[Change]:
        """Yield what differs from `known`. A document with an equal ETag is not read.

        Documents that are gone come last, and only after the whole listing succeeded.

        Raises:
            LocationError: The place cannot be listed, or holds no document at all.
        """
        listed = set()
        async with aclosing(self.list(glob)) as documents:
            async for document in documents:
                listed.add(document.path)
                before = known.get(document.path)
                if before is None or before.etag != document.etag:
                    yield await self._compare(document, before)
        if not listed:
            raise LocationError(self.url, f"no document matches {glob!r}")
        for path in known:
            if path not in listed:
                yield Change("gone", path)

    async def _compare(self, document: Document, before: Known | None) -> Change:
        path, etag = document.path, document.etag
        if document.size > self.max_bytes:
            return Change("unread", path, etag, problem=f"{document.size:,} bytes, more than {self.max_bytes:,}")
        try:
            content = await self.read(path)
        except (UnreadableError, LocationError) as error:
            return Change("unread", path, etag, problem=error.reason)
        digest = hashlib.sha256(content).hexdigest()
        if before is not None and before.digest == digest:
            return Change("touched", path, etag, digest)
        return Change("new" if before is None else "changed", path, etag, digest, content)
