"""Chunks: what they hold, how long they are, and which ones an edit changes."""

import pytest
from semantic_text_splitter import TextSplitter

from ai_base.documents import chunks as chunks_module
from ai_base.documents.chunks import LONGEST_HEADINGS, LONGEST_PART, Chunk, split
from ai_base.documents.tokens import TOKENIZER

PARAGRAPH = "The gateway reserves the cost of a call before it is sent. " * 20


def by_id(text: str, tokens: int = 100) -> dict[str, Chunk]:
    return {chunk.id: chunk for chunk in split("a.md", text, tokens)}


def test_the_path_of_headings_stands_before_what_is_embedded() -> None:
    chunks = split("a.md", "# Guide\n\nIntro.\n\n## Install ##\n\nRun it.\n\n# Other\n\nText.", 100)
    assert [(chunk.headings, chunk.text) for chunk in chunks] == [
        ("Guide", "Intro."),
        ("Guide > Install", "Run it."),
        ("Other", "Text."),
    ]
    assert chunks[1].embedded_text == "Guide > Install\n\nRun it."


def test_a_chunk_is_an_exact_part_of_the_document() -> None:
    text = f"# Ümlaut 🙂\n\n日本語の文章。\n\n{PARAGRAPH}\n\n## Ende\n\n{PARAGRAPH}"
    chunks = split("a.md", text, 50)
    assert len(chunks) > 4
    assert [chunk.text for chunk in chunks if chunk.text not in text] == []


def test_no_chunk_has_more_tokens_than_allowed() -> None:
    whole = TextSplitter.from_tiktoken_model(TOKENIZER, 60)
    dense = "日本語の長い文章です。" * 100 + "\n\n" + "3.14159 2.71828 " * 100  # few characters a token
    chunks = split("a.md", dense, 60)
    assert "".join(chunk.text for chunk in chunks).count("日") == 100
    assert [chunk for chunk in chunks if len(whole.chunks(chunk.text)) > 1] == []


@pytest.mark.parametrize("text", ["日本", "x", "word ", "A line.\n"])
def test_the_splitter_gets_no_long_text_at_once(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time grows with the square of a text without breaks."""
    got: list[str] = []

    class Recording:
        def chunks(self, text: str) -> list[str]:
            got.append(text)
            return [text[:10]]

    monkeypatch.setattr(chunks_module, "_by_characters", lambda _: Recording())
    whole = text * (3 * LONGEST_PART // len(text))
    split("a.md", whole, 100)
    assert len(got) > 2
    assert max(map(len, got)) <= LONGEST_PART
    assert "".join(got) == whole


def test_a_hash_in_code_is_no_heading() -> None:
    text = "# Real\n\n````sh\n# comment\n```\n# still code\n````\n\n~~~\n# code\n~~~\n\n# Next\n\nText."
    assert [chunk.headings for chunk in split("a.md", text, 100)] == ["Real", "Next"]


def test_a_heading_without_text_is_no_chunk() -> None:
    assert [chunk.headings for chunk in split("a.md", "# Guide\n\n## Install\n\nRun it.", 100)] == ["Guide > Install"]


def test_endless_headings_are_cut() -> None:
    (chunk,) = split("a.md", f"# {'x' * 5000}\n\nText.", 100)
    assert len(chunk.headings) == LONGEST_HEADINGS


def test_an_edited_paragraph_changes_one_chunk() -> None:
    text = "\n\n".join(f"## Part {number}\n\n{PARAGRAPH[:200]}{number}" for number in range(20))
    before, after = by_id(text), by_id(text.replace(f"{PARAGRAPH[:200]}7", "Something else, and shorter."))
    assert len(before) == 20
    assert len(after.keys() - before.keys()) == 1


def test_equal_paragraphs_of_a_section_have_ids_of_their_own() -> None:
    chunks = split("a.md", "Same.\n\n# A\n\nSame.\n\n# A\n\nSame.", 100)
    assert len({chunk.id for chunk in chunks}) == 3


def test_the_same_text_in_another_document_has_another_id() -> None:
    assert split("a.md", "Same.", 100)[0].id != split("b.md", "Same.", 100)[0].id
