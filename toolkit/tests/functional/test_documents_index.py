"""The index: one transaction a document, search by words and vectors, several users at once."""

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ai_base.documents.chunks import Chunk, split
from ai_base.documents.errors import EmbeddingError, IndexMismatchError, IndexStorageError
from ai_base.documents.hashing import DIMENSIONS, hash_embed
from ai_base.documents.index import Index
from ai_base.documents.repository import Known
from ai_base.documents.sqlite_index import SQLiteIndex

MODEL = "offline:hashing"
NO_VECTOR = np.zeros(DIMENSIONS, np.float32)

type OpenIndex = Callable[..., Index]


@pytest.fixture
def open_index(tmp_path: Path) -> Iterator[OpenIndex]:
    opened: list[Index] = []

    def open_it(model: str = MODEL, recipe: str = "1") -> Index:
        opened.append(SQLiteIndex(tmp_path / "deep" / "index.db", model, recipe))
        return opened[-1]

    yield open_it
    for index in opened:
        index.close()


def put(index: Index, path: str, markdown: str, etag: str = "1") -> list[Chunk]:
    chunks = split(path, markdown, 100)
    index.replace(path, Known(etag, f"digest of {etag}"), chunks, hash_embed([chunk.embedded_text for chunk in chunks]))
    return chunks


def found(index: Index, question: str, limit: int = 5) -> list[str]:
    return [passage.chunk.text for passage in index.search(question, NO_VECTOR, limit, 0.0) if passage.score]


def nearest(index: Index, question: str) -> str:
    return index.search("", hash_embed([question])[0], 1)[0].chunk.text


def test_a_document_is_found_replaced_and_removed(open_index: OpenIndex) -> None:
    index = open_index()
    chunks = put(index, "a.md", "# Guide\n\nInvoices are sent monthly.\n\n# Crash\n\nThe server restarts.")
    put(index, "b.md", "Something else.")
    assert found(index, "invoice") == ["Invoices are sent monthly."]  # by the stem
    assert found(index, "guide") == ["Invoices are sent monthly."]  # by a heading
    assert index.search("invoice", hash_embed(["invoice"])[0], 1)[0].chunk == chunks[0]
    put(index, "a.md", "Receipts instead.", etag="2")
    assert found(index, "invoices") == []
    assert found(index, "receipt") == ["Receipts instead."]
    assert index.known() == {"a.md": Known("2", "digest of 2"), "b.md": Known("1", "digest of 1")}
    index.remove("a.md")
    assert found(index, "receipt") == []
    assert (index.status().documents, index.status().chunks) == (1, 1)


def test_vectors_follow_the_changes_of_other_users(open_index: OpenIndex) -> None:
    reader, writer = open_index(), open_index()
    put(writer, "a.md", "Invoices are sent monthly.")
    put(writer, "b.md", "The server restarts.")
    assert nearest(reader, "monthly invoices") == "Invoices are sent monthly."
    put(writer, "a.md", "Nothing of the kind.")
    put(writer, "c.md", "Monthly invoices.")
    assert nearest(reader, "monthly invoices") == "Monthly invoices."
    writer.remove("c.md")
    assert nearest(reader, "the server restarts") == "The server restarts."
    texts = [passage.chunk.text for passage in reader.search("", hash_embed(["monthly invoices"])[0], 9)]
    assert sorted(texts) == ["Nothing of the kind.", "The server restarts."]


def test_the_rows_of_an_index_hold_their_own_vectors(open_index: OpenIndex) -> None:
    index = open_index()
    texts = [f"word{number} text{number * 7}" for number in range(2500)]
    for text in texts[::50]:
        index.replace(text, Known("1", "1"), split(text, text, 100), hash_embed([text]))
    assert [nearest(index, text) for text in texts[::50]] == texts[::50]


@pytest.mark.parametrize("question", ["it's", "c++", "-x", "a:b", '"', "", "*", "NEAR(", "AND OR NOT", "\0", "(text)"])
def test_user_text_is_no_query_syntax(open_index: OpenIndex, question: str) -> None:
    index = open_index()
    put(index, "a.md", "It's a text on c++ and more.")
    assert len(index.search(question, NO_VECTOR, 5)) == 1  # by vector, if not by words


def test_cjk_text_is_found_by_a_part_of_it(open_index: OpenIndex) -> None:
    index = open_index()
    put(index, "a.md", "電話番号を入力してください。")
    put(index, "b.md", "番地と話。")
    assert found(index, "電話番号は") == ["電話番号を入力してください。"]


def test_common_words_are_left_out_of_a_search(open_index: OpenIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ai_base.documents.sqlite_index.RANKED_ROWS", 3)
    index = open_index()
    for number in range(10):
        put(index, f"{number}.md", f"the word{number}")
    assert found(index, "the word7", 9) == ["the word7"]
    assert len(found(index, "the", 9)) == 9  # all of them are common


def test_another_model_is_told_and_not_mixed(open_index: OpenIndex) -> None:
    index = open_index()
    put(index, "a.md", "Text.")
    with pytest.raises(IndexMismatchError, match="was built with offline:hashing, not with openai:small"):
        open_index("openai:small")
    with pytest.raises(EmbeddingError, match="vectors of 2 dimensions for an index of 384"):
        index.replace("b.md", Known("1", "1"), split("b.md", "Text.", 100), np.ones((1, 2), np.float32))
    with pytest.raises(EmbeddingError, match="2 vectors for 1 chunks"):
        index.replace("a.md", Known("1", "1"), split("a.md", "Text.", 100), hash_embed(["a", "b"]))
    with pytest.raises(EmbeddingError, match="a question of 2 dimensions"):
        index.search("text", np.ones(2, np.float32), 1)
    assert index.known().keys() == {"a.md"}
    assert found(index, "text") == ["Text."]  # nothing was half-written


def test_another_recipe_asks_for_every_document_again(open_index: OpenIndex) -> None:
    put(open_index(), "a.md", "Text.")
    index = open_index(recipe="2")
    assert index.known() == {"a.md": Known("", "")}
    put(index, "a.md", "Text.")
    assert index.known() == {"a.md": Known("1", "digest of 1")}


def test_a_touched_document_keeps_its_chunks(open_index: OpenIndex) -> None:
    index = open_index()
    put(index, "a.md", "Text.")
    index.touch("a.md", Known("2", "digest of 1"))
    assert index.known() == {"a.md": Known("2", "digest of 1")}
    assert found(index, "text") == ["Text."]


def test_an_empty_index_finds_nothing(open_index: OpenIndex) -> None:
    assert open_index().search("text", NO_VECTOR, 5) == []


def test_the_file_is_its_owners_only(open_index: OpenIndex, tmp_path: Path) -> None:
    put(open_index(), "a.md", "Text.")
    assert [stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "deep").iterdir()] == [0o600] * 3


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "index.db").write_text("no database" * 1000)
    with pytest.raises(IndexStorageError, match=r"index.db: file is not a database"):
        SQLiteIndex(tmp_path / "index.db", MODEL, "1")


WRITER = """
import sys
from pathlib import Path
from ai_base.documents.chunks import split
from ai_base.documents.hashing import hash_embed
from ai_base.documents.repository import Known
from ai_base.documents.sqlite_index import SQLiteIndex

index, name = SQLiteIndex(Path(sys.argv[1]), "offline:hashing", "1"), sys.argv[2]
for round_number in range(5):
    for number in range(20):
        text = f"Document {number} of {name}, round {round_number}."
        index.replace(f"{number}.md", Known(name, name), split(f"{number}.md", text, 100), hash_embed([text]))
index.close()
"""


def test_two_writers_do_not_spoil_each_other(tmp_path: Path) -> None:
    file = tmp_path / "index.db"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(file), name]) for name in ("one", "two")]
    assert [writer.wait() for writer in writers] == [0, 0]
    index = SQLiteIndex(file, MODEL, "1")
    assert (index.status().documents, index.status().chunks) == (20, 20)
    assert [len(found(index, f"document {number}", 1)) for number in range(20)] == [1] * 20
    index.close()
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM vectors").fetchone() == (20,)
        connection.execute("INSERT INTO words (words) VALUES ('integrity-check')")
    connection.close()
