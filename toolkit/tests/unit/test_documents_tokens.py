"""The quick count of tokens: never less than the tokenizer's, and the same for English text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from semantic_text_splitter import TextSplitter

from ai_base.documents import tokens
from ai_base.documents.tokens import MOST_TOKENS, TOKENIZER, is_short

PARTS = [
    "The",
    "gateway",
    "strasse",
    "don't",
    "it’s",
    "für",
    "日本語",
    "🙂",
    "e\u0301",
    "x" * 40,
    "3.14159",
    "==>",
    "_a_",
]
SPACES = ["", " ", "  ", "   ", " " * 7, "\t", "\n", "\n\n", "\r\n", "\n    ", " \n \n", "\xa0", ". ", ".\n", "#"]


def count(text: str) -> int:
    return next(number for number in range(len(text.encode()) + 10) if is_short(text, number))


def fits(text: str, number: int) -> bool:
    return len(TextSplitter.from_tiktoken_model(TOKENIZER, number, trim=False).chunks(text)) == 1


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PARTS) | st.sampled_from(SPACES) | st.text(max_size=8), min_size=1).map("".join))
def test_what_is_short_has_no_more_tokens(text: str) -> None:
    assert not text or fits(text, count(text))


def test_the_tokens_of_english_are_counted_exactly() -> None:
    text = "## Limits\n\nThe gateway reserves 12.50 euros, doesn't it?\n\n    if cost > limit:\n        raise Refused\n"
    number = count(text)
    assert fits(text, number)
    assert not fits(text, number - 1)


def test_a_word_of_many_tokens_counts_by_its_bytes() -> None:
    word = "qzxj" * 10
    assert not fits(word, MOST_TOKENS)
    assert count(word) == len(word)


def test_no_more_words_than_allowed_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST_WORDS", 50)
    assert is_short(" ".join(f"word{number}" for number in range(200)), 1000)
    assert len(tokens._tokens_by_word) <= 50  # noqa: SLF001
