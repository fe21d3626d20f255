"""Embeddings without a model: words and groups of four letters, hashed into 384 numbers.

Texts that share words or parts of words are near each other; meaning plays no part. It makes every command work before
the first key is bought, and tests need no network.
"""

import re
import zlib

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 384
WORD_WEIGHT = 4.0
"""How much a word counts, compared with one of its groups of four letters."""

type Vectors = NDArray[np.float32]
"""One row a text, each of length 1."""


def hash_embed(texts: list[str]) -> Vectors:
    """Return one vector a text."""
    return normalized(np.array([_vector(text.lower()) for text in texts], np.float32).reshape(-1, DIMENSIONS))


def normalized(vectors: Vectors) -> Vectors:
    """Scale each row to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)
    lengths[lengths == 0] = 1
    return vectors / lengths


def _vector(text: str) -> NDArray[np.float64]:
    words = np.array([zlib.crc32(word.encode()) for word in re.findall(r"\w+", text)], np.uint32)
    letters = np.frombuffer(f"{text:4}".encode(), np.uint8).astype(np.uint32)
    groups = letters[:-3] | letters[1:-2] << 8 | letters[2:-1] << 16 | letters[3:] << 24
    hashes = np.concatenate([words, groups * np.uint32(2654435761)])  # Knuth's multiplicative hash
    weights = np.concatenate([np.full(len(words), WORD_WEIGHT), np.ones(len(groups))])
    signs = np.where(hashes & 0x10000, 1.0, -1.0)
    summed: NDArray[np.float64] = np.bincount((hashes >> 17) % DIMENSIONS, weights * signs, DIMENSIONS)
    return summed
