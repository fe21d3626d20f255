"""Embeddings under the gateway's guards: caps, ledger, time-outs, retries, breaker, fallback, and a cache."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from pydantic_ai.embeddings import EmbeddingModel, EmbeddingResult, EmbeddingSettings
from pydantic_ai.embeddings.result import EmbedInputType
from pydantic_ai.messages import ModelRequest, ModelResponse

from ai_base.documents.cache import EmbeddingCache
from ai_base.documents.embedding_models import build_embedding_model
from ai_base.documents.errors import EmbeddingError
from ai_base.documents.hashing import Vectors, normalized
from ai_base.llm.candidates.attempt import Attempts, Plan
from ai_base.llm.candidates.retry import retrying
from ai_base.llm.configuration.config import Candidate
from ai_base.llm.configuration.prices import price_of
from ai_base.llm.errors import (
    AllCandidatesFailedError,
    AttemptFailedError,
    ConfigError,
    UnavailableError,
    UnpricedModelError,
)
from ai_base.llm.gateway.gateway import Gateway
from ai_base.llm.interaction import current_interaction
from ai_base.text.scrub import scrub

CHAIN = "embeddings"
"""The chain in `config/llm.toml` whose candidates are asked: one model, at one or more providers."""
BATCH_TEXTS, BATCH_BYTES = 256, 200_000
"""Most texts and bytes in a request. Providers take 2,048 texts and some 300,000 tokens; a byte is at most a token."""
SIZE_OF_VECTOR = 100
"""Longest vector in a response, in the units of the limit of a response's size: some 100 kB."""

OFFLINE_WEIGHT = 0.05
"""Of the offline embedder's ranking next to that by words: it adds to it, and never outvotes it."""


@dataclass
class Embeddings:
    """Embeds texts with the candidates of a chain. Each batch is one interaction of the ledger.

    `dimensions` asks for shorter vectors than the model's own.
    """

    gateway: Gateway
    cache: EmbeddingCache
    dimensions: int | None = None
    _guards: dict[str, tuple[EmbeddingModel, Attempts]] = field(default_factory=dict, init=False)

    @property
    def space(self) -> str:
        """Model and dimensions. Vectors of different spaces cannot be compared.

        Raises:
            ConfigError: There is no such chain, or its candidates are different models.
        """
        config = self.gateway.candidates.config()
        if CHAIN not in config.chains:
            raise ConfigError("chains", f"none is called {CHAIN!r}: name an embedding model there")
        names = {config.candidates[name].model.partition(":")[2] for name in config.chains[CHAIN]}
        if len(names) > 1:
            raise ConfigError(f"chains.{CHAIN}", f"different models embed differently: {', '.join(sorted(names))}")
        return f"{names.pop()}@{self.dimensions or 'own'}"

    @property
    def weight(self) -> float:
        """How much a ranking by vector counts next to one by words: little without a model."""
        return OFFLINE_WEIGHT if self.space.startswith("hashing@") else 1.0

    async def embed_documents(self, texts: list[str]) -> Vectors:
        """Return one vector of length 1 for each text (see `embed`)."""
        return await self.embed(texts, "document")

    async def embed_question(self, question: str) -> Vectors:
        """Return the vector of a question (see `embed`)."""
        vectors: Vectors = (await self.embed([question], "query"))[0]
        return vectors

    async def embed(self, texts: list[str], input_type: EmbedInputType) -> Vectors:
        """Return one vector of length 1 for each text. What is in the cache is not sent; what comes back is kept.

        A half of a surrogate pair is replaced.

        Raises:
            RefusedError: The batch would exceed a cap. It was not sent.
            AllCandidatesFailedError: No candidate returned usable vectors.
            LLMError: As a guard raises it.
        """
        space = self.space
        texts = self._sendable(texts)
        keys = [self.cache.key(space, input_type, text) for text in texts]
        vectors = self.cache.get(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
        for batch in _batches(missing):
            async with self.gateway.interaction("embeddings"):
                embedded = await self._embed_batch(list(batch.values()), input_type)
            added = dict(zip(batch, embedded, strict=True))
            self.cache.put(added)
            vectors |= added
        if len({vector.shape for vector in vectors.values()}) > 1:
            raise EmbeddingError(f"the model {space} returned vectors of different dimensions")
        return np.array([vectors[key] for key in keys], np.float32)

    def missing(self, texts: list[str]) -> list[str]:
        """Return the texts that would be sent."""
        keys = {self.cache.key(self.space, "document", text): text for text in self._sendable(texts)}
        known = self.cache.get(list(keys))
        return [text for key, text in keys.items() if key not in known]

    def highest_cost(self, size: int) -> int:
        """Return the most that embedding so many bytes can cost, in nanodollars."""
        return max(attempts.price.bound(size, 0) for _, attempts in self._candidates())

    def _sendable(self, texts: list[str]) -> list[str]:
        if not self.gateway.candidates.config().privacy.send_personal_data:
            texts = [scrub(text) for text in texts]
        return [text.encode("utf-8", "replace").decode() for text in texts]

    async def _embed_batch(self, texts: list[str], input_type: EmbedInputType) -> Vectors:
        failures: list[Exception] = []
        for model, attempts in self._candidates():
            try:
                return await self._ask(model, attempts, texts, input_type)
            except UnavailableError as error:
                failures.append(error)
        current_interaction().remaining()  # a candidate may have failed because the time was up
        raise AllCandidatesFailedError(CHAIN, failures)

    async def _ask(
        self, model: EmbeddingModel, attempts: Attempts, texts: list[str], input_type: EmbedInputType
    ) -> Vectors:
        call = current_interaction()
        settings = EmbeddingSettings(dimensions=self.dimensions) if self.dimensions else None
        bound = attempts.price.bound(sum(len(text.encode()) for text in texts), 0)
        plan = Plan([ModelRequest.user_text_prompt(texts[0])], bound, SIZE_OF_VECTOR * len(texts), None)

        async def once() -> EmbeddingResult:
            async with attempts.start(call, plan) as running:
                async with asyncio.timeout(min(attempts.candidate.timeout, call.remaining())):
                    result = await model.embed(texts, input_type=input_type, settings=settings)
                running.take(ModelResponse([], usage=result.usage, model_name=result.model_name))
            return result

        result = await retrying(attempts.limiter, attempts.config().retry, once)
        return _checked(result, len(texts), self.dimensions, attempts.name)

    def _candidates(self) -> Iterator[tuple[EmbeddingModel, Attempts]]:
        config = self.gateway.candidates.config()
        for name in config.chains[CHAIN]:
            candidate = config.candidates[name]
            if name not in self._guards or self._guards[name][1].candidate != candidate:
                self._guards[name] = self._guard(name, candidate)
            self._guards[name][1].breaker.settings = config.breaker
            yield self._guards[name]

    def _guard(self, name: str, candidate: Candidate) -> tuple[EmbeddingModel, Attempts]:
        candidates, price = self.gateway.candidates, price_of(candidate.model, candidate.price)
        if price is None:
            raise UnpricedModelError(candidate.model)
        known_name = candidate.model.partition(":")[2]
        attempts = Attempts(name, known_name, candidate, price, candidates.ledger, candidates.config)
        return build_embedding_model(candidate, candidates.client), attempts


def _batches(texts: Mapping[bytes, str]) -> Iterator[dict[bytes, str]]:
    batch: dict[bytes, str] = {}
    size = 0
    for key, text in texts.items():
        size += len(text.encode())
        if batch and (len(batch) == BATCH_TEXTS or size > BATCH_BYTES):
            yield batch
            batch, size = {}, len(text.encode())
        batch[key] = text
    if batch:
        yield batch


def _checked(result: EmbeddingResult, wanted: int, dimensions: int | None, candidate: str) -> Vectors:
    """Return the vectors, or raise so that the next candidate is asked. What came back was paid for."""
    problem = ""
    try:
        vectors = np.array(result.embeddings, np.float64)
    except (TypeError, ValueError):  # they have different lengths, or hold something else than numbers
        vectors = np.empty(0)
    if len(result.embeddings) != wanted:
        problem = f"{len(result.embeddings)} vectors for {wanted} texts"
    elif vectors.ndim != 2:  # noqa: PLR2004
        problem = "vectors of different dimensions, or no vectors"
    elif dimensions not in (None, vectors.shape[1]):
        problem = f"vectors of {vectors.shape[1]} dimensions"
    elif not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
        problem = "vectors with values that are no numbers, or nothing but zeros"
    if problem:
        raise AttemptFailedError(candidate, f"it returned {problem}", kind="unsuitable")
    return normalized((vectors / np.abs(vectors).max(axis=1, keepdims=True)).astype(np.float32))
