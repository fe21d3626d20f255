"""Tells quickly that a text has few tokens, from the tokens of its words, which are remembered."""

import re
from functools import cache, lru_cache

from semantic_text_splitter import TextSplitter

TOKENIZER = "text-embedding-3-small"
"""Its vocabulary comes with the splitter. Other models' tokenizers differ by some percent."""
MOST_TOKENS = 8
"""Of a part of a word. The bytes of one that has more are counted instead; there are never fewer bytes than tokens."""
MOST_WORDS = 100_000
"""That are remembered."""

_SPACES = re.compile(" {3,80}")  # is one token, as two spaces are, or two before a word
_LETTERS = r"A-Za-z\x80-\U0010ffff"  # other than English ones count as their bytes, so their kind does not matter
_PART = re.compile(
    rf"[^\r\n0-9{_LETTERS}]?[{_LETTERS}]+|[0-9]{{1,3}}| ?[^\s0-9{_LETTERS}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What the tokenizer cuts a text into, before it looks for the tokens of each part."""


def is_short(text: str, tokens: int) -> bool:
    """Whether a text certainly has no more tokens. A few texts that have just as many are not recognized."""
    first, *words = _SPACES.sub("  ", text).split(" ")
    return _count(first) + sum(map(_tokens_by_word.__getitem__, words)) <= tokens


class _TokensByWord(dict[str, int]):
    """The tokens of words that follow a space."""

    def __missing__(self, word: str) -> int:
        if len(self) >= MOST_WORDS:
            self.clear()
        self[word] = counted = _count(f" {word}")
        return counted


_tokens_by_word = _TokensByWord()


def _count(text: str) -> int:
    return sum(map(_count_part, _PART.findall(text)))


@lru_cache(MOST_WORDS)
def _count_part(part: str) -> int:
    if part.isascii():  # the splitter never cuts a letter, however many tokens it has
        for tokens in range(1, MOST_TOKENS + 1):
            if len(_splitter(tokens).chunks(part)) == 1:
                return tokens
    return len(part.encode())


@cache
def _splitter(tokens: int) -> TextSplitter:
    return TextSplitter.from_tiktoken_model(TOKENIZER, tokens, trim=False)
