"""What the tests of documents share: indexes of both kinds, and PDFs made by hand, harmless and hostile ones."""

import zlib
from pathlib import Path

import numpy as np

from ai_base.documents.chunks import Chunk, split
from ai_base.documents.hashing import DIMENSIONS, hash_embed
from ai_base.documents.index import Index
from ai_base.documents.postgres_index import PostgresIndex
from ai_base.documents.repository import Known
from ai_base.documents.sqlite_index import SQLiteIndex

MODEL = "offline:hashing"
NO_VECTOR = np.zeros(DIMENSIONS, np.float32)


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
