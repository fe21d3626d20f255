"""Cuts Markdown into chunks: by section, then by structure, at most so many tokens each. Tokens are counted offline."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from semantic_text_splitter import MarkdownSplitter

from ai_base.documents.tokens import TOKENIZER, is_short

CHARACTERS_PER_TOKEN = 4
"""Chunks are sized in characters, which is 30 times faster, and then checked in tokens. English has 4 to 5."""
LONGEST_PART = 20_000
"""Characters that the splitter gets at once: in text without sentences or lines, its time grows with their square."""
LONGEST_HEADINGS = 300

_HEADING_OR_FENCE = re.compile(
    r"^[ ]{0,3}(?: (?P<fence>`{3,}|~{3,}) | (?P<level>\#{1,6}) [ \t]+ (?P<title>[^\n]*) )", re.MULTILINE | re.VERBOSE
)
_PART = re.compile(rf".{{1,{LONGEST_PART}}}(?=\n|\Z)|.{{1,{LONGEST_PART}}}", re.DOTALL)


@dataclass(frozen=True)
class Chunk:
    """A piece of a document. `text` is an exact part of the document's Markdown."""

    id: str
    """Equal as long as path, headings and text are."""
    path: str
    headings: str
    """The headings above it, from the outermost on."""
    text: str

    @property
    def embedded_text(self) -> str:
        """What is embedded and searched: the headings and the text."""
        return f"{self.headings}\n\n{self.text}" if self.headings else self.text


def split(path: str, markdown: str, tokens: int) -> list[Chunk]:
    """Cut a document's Markdown into chunks of at most so many tokens."""
    seen: Counter[tuple[str, str]] = Counter()
    chunks = []
    for headings, text in _sections(markdown):
        for piece in _pieces(text, tokens):
            key = (headings, piece)
            identity = "\0".join([path, headings, piece, str(seen[key])])
            seen[key] += 1
            chunk_id = hashlib.sha256(identity.encode()).hexdigest()[:20]
            chunks.append(Chunk(chunk_id, path, headings, piece))
    return chunks


def _pieces(text: str, tokens: int) -> Iterator[str]:
    for part in _PART.findall(text):
        for piece in _by_characters(tokens).chunks(part):
            if is_short(piece, tokens):  # which takes a fifth of the tokenizer's time
                yield piece
            else:
                yield from _by_tokens(tokens).chunks(piece)


@cache
def _by_characters(tokens: int) -> MarkdownSplitter:
    return MarkdownSplitter(tokens * CHARACTERS_PER_TOKEN)


@cache
def _by_tokens(tokens: int) -> MarkdownSplitter:
    return MarkdownSplitter.from_tiktoken_model(TOKENIZER, tokens)


def _sections(markdown: str) -> Iterator[tuple[str, str]]:
    """Yield the path of headings of each section and its text. Code is no heading."""
    titles: list[tuple[int, str]] = []
    start, fence = 0, ""
    for match in _HEADING_OR_FENCE.finditer(markdown):
        if match["fence"]:
            if not fence:
                fence = match["fence"]
            elif match["fence"].startswith(fence):
                fence = ""
        elif not fence:
            yield _joined(titles), markdown[start : match.start()]
            level = len(match["level"])
            titles = [each for each in titles if each[0] < level]
            titles.append((level, match["title"].rstrip("# \t\r")))
            start = match.end()
    yield _joined(titles), markdown[start:]


def _joined(titles: list[tuple[int, str]]) -> str:
    return " > ".join(title for _, title in titles if title)[:LONGEST_HEADINGS]
