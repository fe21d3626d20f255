"""The index, on SQLite and on PostgreSQL: whole documents, search by words and vectors, several users at once."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
from document_cases import NO_VECTOR, found, put

from ai_base.documents.chunks import split
from ai_base.documents.errors import EmbeddingError, IndexMismatchError
from ai_base.documents.hashing import hash_embed
from ai_base.documents.index import Index
from ai_base.documents.repository import Known

type OpenIndex = Callable[..., Index]


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
    monkeypatch.setattr("ai_base.documents.index.RANKED_ROWS", 3)
    index = open_index()
    for number in range(10):
        put(index, f"{number}.md", f"common words, word{number}")
    assert found(index, "common word7", 9) == ["common words, word7"]
    assert len(found(index, "common words", 9)) == 9  # each of them is too common


def test_words_are_found_whatever_is_between_them(open_index: OpenIndex) -> None:
    index = open_index()
    put(index, "a.md", "See wifi/router.local, or snake_case, in Ärger 2.50.")
    for question in ("router", "wifi", "snake", "snake_case", "ärger", "50"):
        assert len(found(index, question)) == 1


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


def test_documents_of_one_transaction_are_all_written_or_none(open_index: OpenIndex) -> None:
    index = open_index()
    put(index, "a.md", "Text.")
    with pytest.raises(RuntimeError), index.transaction():  # noqa: PT012 - it fails at its end
        put(index, "a.md", "Edited.", etag="2")
        put(index, "b.md", "Other.")
        raise RuntimeError
    assert index.known() == {"a.md": Known("1", "digest of 1")}
    assert (found(index, "text"), found(index, "edited other")) == (["Text."], [])


def test_what_was_replaced_often_takes_no_place_in_a_search(open_index: OpenIndex) -> None:
    index = open_index()
    for number in range(300):
        put(index, "a.md", f"Invoice {number}.")
    put(index, "b.md", "The server restarts.")
    passages = index.search("", hash_embed(["invoice"])[0], 5)
    assert [passage.chunk.text for passage in passages] == ["Invoice 299.", "The server restarts."]


def test_threads_share_an_index(open_index: OpenIndex) -> None:
    index = open_index()
    put(index, "a.md", "Text.")
    results: list[list[str]] = []
    threads = [threading.Thread(target=lambda: results.append(found(index, "text"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [["Text."]] * 8
