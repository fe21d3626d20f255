"""What the tests of documents share: indexes of both kinds, replies with embeddings, harmless and hostile PDFs."""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ai_base.documents.chunks import Chunk, split
from ai_base.documents.hashing import DIMENSIONS, hash_embed
from ai_base.documents.index import Index
from ai_base.documents.postgres_index import PostgresIndex
from ai_base.documents.repository import Change, DocumentRepository, Known
from ai_base.documents.sqlite_index import SQLiteIndex
from ai_base.testing.loopback import Reply

MODEL = "offline:hashing"
ODD_NAMES = ["quote'\".md", "line\nfeed.md", "emoji 🙂 é.md", "a%20b#?*.md", "deep/er/x.md"]
NO_VECTOR = np.zeros(DIMENSIONS, np.float32)


async def all_changes(
    repository: DocumentRepository, known: dict[str, Known] | None = None, glob: str = "*"
) -> dict[str, Change]:
    """Return the changes by path."""
    return {change.path: change async for change in repository.changes(known or {}, glob)}


def remember(changes: dict[str, Change]) -> dict[str, Known]:
    """Return what an index would remember of documents."""
    return {path: Known(change.etag, change.digest) for path, change in changes.items()}


def open_index_at(place: str, model: str, recipe: str = "1") -> Index:
    """Open an index at the URL of a PostgreSQL, or at a path."""
    return PostgresIndex(place, model, recipe) if "://" in place else SQLiteIndex(Path(place), model, recipe)


def put(index: Index, path: str, markdown: str, etag: str = "1") -> list[Chunk]:
    """Index a document."""
    chunks = split(path, markdown, 100)
    index.replace(path, Known(etag, f"digest of {etag}"), chunks, hash_embed([chunk.embedded_text for chunk in chunks]))
    return chunks


def found(index: Index, question: str, limit: int = 5) -> list[str]:
    """Return the texts that are found by their words."""
    return [passage.chunk.text for passage in index.search(question, NO_VECTOR, limit, 0.0) if passage.score]


def embed_reply(body: Mapping[str, Any], vectors: Sequence[Sequence[float]] | None = None) -> Reply:
    """Answer as the embeddings endpoint does; a token is four bytes."""
    found = hash_embed(list(body["input"]))[:, : body.get("dimensions")].tolist() if vectors is None else vectors
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(found)]
    tokens = sum(len(text.encode()) for text in body["input"]) // 4
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Reply(raw=json.dumps({"object": "list", "model": body["model"], "data": data, "usage": usage}))


def pdf(text: str) -> bytes:
    """Return a PDF of one page."""
    return pdf_of_stream(f"BT /F1 12 Tf 50 700 Td ({text}) Tj ET".encode())


def endless_pdf() -> bytes:
    """Return a small PDF whose page takes minutes to read."""
    return pdf_of_stream(zlib.compress(b"BT /F1 12 Tf (x) Tj ET " * 3_000_000, 9), compressed=True)


def zip_bomb_pdf() -> bytes:
    """Return a small PDF whose page has 200 MB."""
    return pdf_of_stream(zlib.compress(b" " * 200_000_000, 9), compressed=True)


def pdf_of_stream(stream: bytes, *, compressed: bool = False) -> bytes:
    """Return a PDF of one page with this content stream."""
    filters = b"/Filter /FlateDecode " if compressed else b""
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R "
            b"/Resources << /Font << /F1 5 0 R >> >> >>"
        ),
        b"<< %s/Length %d >>\nstream\n%s\nendstream" % (filters, len(stream), stream),
        font,
    ]
    whole, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(whole))
        whole += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    end = b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % len(whole)
    return whole + b"xref\n0 6\n0000000000 65535 f \n" + table + end
