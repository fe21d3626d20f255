"""Turns the bytes of a document into Markdown: text, Markdown, HTML, PDF, JSON lines, CSV.

All but plain text is parsed in the worker process (see `worker`), because strangers wrote the files. A document that
cannot be read raises `ValueError` with the reason.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import Any

PARSERS: dict[str, Callable[[bytes], str]] = {}
"""By the end of a name, in lower case."""


def to_markdown(name: str, content: bytes) -> str:
    """Return a document as Markdown; the end of its name tells the format.

    Raises:
        ValueError: The format is not supported, the content is not of that format, or there is no text in it.
    """
    ending = kind_of(name)
    if ending not in PARSERS:
        raise ValueError(f"files of the kind {ending or 'without an ending'} are not supported")
    text = PARSERS[ending](content).replace("\0", "")  # which no database takes, nor half of a surrogate pair
    text = text.encode("utf-8", "replace").decode()
    if not text.strip():
        raise ValueError("there is no text in it")
    return text


def kind_of(name: str) -> str:
    """Return the end of a name that tells the format, in lower case."""
    return PurePosixPath(name).suffix.lower()


def decode(content: bytes) -> str:
    """Decode UTF-8, or UTF-16 with a byte order mark.

    Raises:
        ValueError: It is neither, or not text.
    """
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"neither UTF-8 nor UTF-16 text: {error.reason} at byte {error.start}") from None
    if "\0" in text:
        raise ValueError("not text: it holds NUL characters")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parse_html(content: bytes) -> str:
    from html_to_markdown import ConversionOptions, convert  # noqa: PLC0415 - only the worker needs it

    declared = re.search(rb"<meta[^>]{1,200}charset=[\"']?([\w-]{1,30})", content[:2000], re.IGNORECASE)
    charset = declared[1].decode("ascii") if declared else "utf-8"
    if charset.lower() not in ("utf-8", "utf8"):
        try:
            content = content.decode(charset).encode()
        except (UnicodeDecodeError, LookupError) as error:
            raise ValueError(f"not text in the declared encoding {charset}: {error}") from None
    text = decode(content)
    markdown = convert(text, ConversionOptions(extract_metadata=False)).content or ""
    if not markdown.strip() and len(text) > 100_000:  # noqa: PLR2004 - the library gives up on deep nesting
        raise ValueError("no text was found in a large page; it may be nested too deeply")
    return markdown


def _parse_pdf(content: bytes) -> str:
    from pypdf import PdfReader  # noqa: PLC0415
    from pypdf.errors import PyPdfError  # noqa: PLC0415

    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted:
            raise ValueError("the PDF is encrypted")
        pages = [page.extract_text() for page in reader.pages]
    except (PyPdfError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError(f"broken PDF: {type(error).__name__}: {error}") from error
    if not any(page.strip() for page in pages):
        raise ValueError(f"no text on any of its {len(pages)} pages")
    return "\n\n".join(f"# Page {number}\n\n{page}" for number, page in enumerate(pages, start=1) if page.strip())


def _parse_json_lines(content: bytes) -> str:
    records = []
    for number, line in enumerate(decode(content).split("\n"), start=1):
        if line.strip():
            try:
                records.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"line {number} is not JSON: {error}") from None
    return _as_paragraphs((record if isinstance(record, dict) else {"value": record}).items() for record in records)


def _parse_csv(content: bytes) -> str:
    text = decode(content)
    try:
        dialect: type[csv.Dialect] | csv.Dialect = csv.Sniffer().sniff(text[:10_000], ",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        rows = csv.reader(io.StringIO(text, newline=""), dialect)
        names = next(rows, [])
        return _as_paragraphs(zip_longest(names, row, fillvalue="") for row in rows if row)
    except csv.Error as error:
        raise ValueError(f"broken CSV: {error}") from None


def _as_paragraphs(records: Iterable[Iterable[tuple[str, Any]]]) -> str:
    """Write each record as a paragraph of `name: value` lines, so that a passage never lacks its column names."""
    return "\n\n".join(
        "\n".join(f"{name or 'unnamed'}: {_as_text(value)}" for name, value in record if value not in (None, "", []))
        for record in records
    )


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


for _ending in (".txt", ".text", ".md", ".markdown"):
    PARSERS[_ending] = decode
for _ending in (".html", ".htm", ".xhtml"):
    PARSERS[_ending] = _parse_html
for _ending in (".jsonl", ".ndjson"):
    PARSERS[_ending] = _parse_json_lines
for _ending in (".csv", ".tsv"):
    PARSERS[_ending] = _parse_csv
PARSERS[".pdf"] = _parse_pdf
