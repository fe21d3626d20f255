"""What of a question is searched, how rankings are merged, and the embeddings without a model."""

import numpy as np
import pytest

from ai_base.documents.hashing import DIMENSIONS, hash_embed
from ai_base.documents.index import MOST_WORDS, fuse, search_terms, searchable


def test_terms_hold_no_syntax() -> None:
    assert search_terms("""it's c++ -x a:b "quoted" NEAR(a b) * ^""") == [
        *("it", "s", "c", "x", "a", "b", "quoted", "NEAR")
    ]


def test_cjk_letters_are_searched_in_pairs() -> None:
    assert search_terms("電話番号 は API") == ["電 話", "話 番", "番 号", "は", "API"]
    assert searchable("電話 API") == " 電  話  API"


def test_a_long_question_has_a_bounded_number_of_terms() -> None:
    assert len(search_terms(" ".join(map(str, range(10_000))))) == MOST_WORDS


def test_what_both_rankings_find_comes_first() -> None:
    assert [row for row, _ in fuse([1, 2, 3], [4, 3, 5], 1.0)] == [3, 1, 4, 2, 5]
    assert [row for row, _ in fuse([1, 2], [9], 0.01)] == [1, 2, 9]


def test_hashed_texts_that_share_words_are_near_each_other() -> None:
    texts = ["the invoice is late", "a late invoice", "the server crashed", "", "é"]
    vectors = hash_embed(texts)
    assert vectors.shape == (5, DIMENSIONS)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 1, 1], abs=1e-6)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    assert (hash_embed(texts[:1])[0] == vectors[0]).all()
