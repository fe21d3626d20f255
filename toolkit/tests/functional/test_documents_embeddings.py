"""Embeddings under the guards: what is sent, what is paid, and what of a reply is believed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from document_cases import embed_reply
from pydantic_ai import models

from ai_base.documents.cache import EmbeddingCache
from ai_base.documents.embeddings import BATCH_TEXTS, Embeddings
from ai_base.documents.hashing import hash_embed
from ai_base.llm import AllCandidatesFailedError, BudgetExceededError, ConfigError, Gateway
from ai_base.llm.errors import UnpricedModelError
from ai_base.testing.loopback import LoopbackProvider, Reply

MODEL = "openai:text-embedding-3-small"

type OpenEmbeddings = Callable[..., AbstractAsyncContextManager[Embeddings]]


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(models, "ALLOW_MODEL_REQUESTS", True)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with LoopbackProvider(embed_reply) as provider:
        yield provider


@pytest.fixture
def open_embeddings(tmp_path: Path) -> OpenEmbeddings:
    @asynccontextmanager
    async def opened(
        *urls: str, dimensions: int | None = None, model: str = MODEL, **parts: Any
    ) -> AsyncIterator[Embeddings]:
        candidate = {"timeout": 60, **parts.pop("candidate", {})}
        names = [f"place{number}" for number in range(len(urls))]
        candidates = {
            name: {"model": model, "base_url": url, **candidate} for name, url in zip(names, urls, strict=True)
        }
        config = {
            "candidates": {"chat": {"model": "offline:demo"}, **candidates},
            "chains": {"default": ["chat"], "embeddings": names},
            "budgets": {"unlimited": True},
            "retry": {"attempts": 3, "base_delay": 0.001, "max_delay": 0.01, "deadline": 60},
            **parts,
        }
        url = f"sqlite:///{tmp_path / 'ledger.db'}"
        async with Gateway.open(config=config, prompts=tmp_path, database_url=url) as gateway:
            with closing(EmbeddingCache(tmp_path / "embeddings.db")) as cache:
                yield Embeddings(gateway, cache, dimensions=dimensions)

    return opened


async def attempts_of(embeddings: Embeddings) -> list[tuple[str, str, int, int]]:
    """Return candidate, status, input tokens and cost in nanodollars of every attempt, in order."""
    sql = "SELECT candidate, status, input_tokens, cost FROM attempts ORDER BY started_at, number"
    return [tuple(row) for row in await embeddings.gateway.ledger.database.execute(sql)]


async def test_texts_are_embedded_paid_and_recorded(
    provider: LoopbackProvider, open_embeddings: OpenEmbeddings
) -> None:
    texts = ["invoices are late", "the server crashed"]
    async with open_embeddings(provider.url) as embeddings:
        vectors = await embeddings.embed_documents(texts)
        assert vectors == pytest.approx(hash_embed(texts), abs=1e-3)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-3)
        assert await attempts_of(embeddings) == [("place0", "ok", 8, 160)]  # at $0.02 a million tokens
    assert provider.requests[0].body["input"] == texts


async def test_nothing_is_paid_for_twice(provider: LoopbackProvider, open_embeddings: OpenEmbeddings) -> None:
    async with open_embeddings(provider.url) as embeddings:
        await embeddings.embed_documents(["one", "two", "one"])
    async with open_embeddings(provider.url) as embeddings:
        again = await embeddings.embed_documents(["two", "three", "one"])
        assert again == pytest.approx(hash_embed(["two", "three", "one"]), abs=1e-3)
        assert embeddings.missing(["one", "four"]) == ["four"]
    assert [request.body["input"] for request in provider.requests] == [["one", "two"], ["three"]]


async def test_the_cache_tells_dimensions_and_questions_apart(
    provider: LoopbackProvider, open_embeddings: OpenEmbeddings
) -> None:
    async with open_embeddings(provider.url) as embeddings:
        await embeddings.embed_documents(["invoices are late"])
        await embeddings.embed_question("invoices are late")
    async with open_embeddings(provider.url, dimensions=64) as embeddings:
        assert (await embeddings.embed_documents(["invoices are late"])).shape == (1, 64)
    assert [request.body.get("dimensions") for request in provider.requests] == [None, None, 64]


async def test_the_cache_tells_models_apart(provider: LoopbackProvider, open_embeddings: OpenEmbeddings) -> None:
    for number, model in enumerate((MODEL, "openai:text-embedding-3-large"), start=1):
        async with open_embeddings(provider.url, model=model) as embeddings:
            await embeddings.embed_documents(["invoices are late"])
        assert provider.count == number


async def test_processes_share_the_cache(provider: LoopbackProvider, open_embeddings: OpenEmbeddings) -> None:
    async with open_embeddings(provider.url) as one, open_embeddings(provider.url) as two:
        await one.embed_documents(["one"])
        await two.embed_documents(["one", "two"])
        await one.embed_documents(["two"])
    assert [request.body["input"] for request in provider.requests] == [["one"], ["two"]]


async def test_many_texts_go_in_batches(provider: LoopbackProvider, open_embeddings: OpenEmbeddings) -> None:
    texts = [*(f"text {number}" for number in range(BATCH_TEXTS + 1)), "x" * 150_000, "y" * 150_000]
    async with open_embeddings(provider.url) as embeddings:
        assert (await embeddings.embed_documents(texts)).shape == (len(texts), 384)
    assert [len(request.body["input"]) for request in provider.requests] == [BATCH_TEXTS, 2, 1]


async def test_a_batch_that_could_pass_a_cap_is_not_sent(
    provider: LoopbackProvider, open_embeddings: OpenEmbeddings
) -> None:
    budgets = {"overall": {"day": Decimal("0.00001")}}  # dollars: 500 tokens
    async with open_embeddings(provider.url, budgets=budgets) as embeddings:
        with pytest.raises(BudgetExceededError):
            await embeddings.embed_documents(["x" * 300, "y" * 300])  # the whole batch is reserved, a byte as a token
        assert provider.count == 0
        await embeddings.embed_documents(["x" * 300])
        assert provider.count == 1


async def test_a_model_without_a_price_is_not_called(
    provider: LoopbackProvider, open_embeddings: OpenEmbeddings
) -> None:
    with pytest.raises(ConfigError, match="the price of openai:unheard-of-embedding is not known"):
        async with open_embeddings(provider.url, model="openai:unheard-of-embedding"):
            pass
    assert provider.count == 0


async def test_no_text_is_sent_to_a_model_without_a_price(
    provider: LoopbackProvider, open_embeddings: OpenEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the check of the configuration was passed by."""
    async with open_embeddings(provider.url) as embeddings:
        config = embeddings.gateway.candidates.config()
        unpriced = config.candidates["place0"].model_copy(update={"model": "openai:unheard-of-embedding"})
        edited = config.model_copy(update={"candidates": {**config.candidates, "place0": unpriced}})
        monkeypatch.setattr(embeddings.gateway.candidates, "config", lambda: edited)
        with pytest.raises(UnpricedModelError, match="its price is not known"):
            await embeddings.embed_documents(["one"])
    assert provider.count == 0


async def test_a_failure_is_retried_in_one_layer(provider: LoopbackProvider, open_embeddings: OpenEmbeddings) -> None:
    provider.behaviour = Reply(status=503)
    async with open_embeddings(provider.url) as embeddings:
        with pytest.raises(AllCandidatesFailedError):
            await embeddings.embed_documents(["one"])
        assert [row[1] for row in await attempts_of(embeddings)] == ["failed"] * 3
    assert provider.count == 3


async def test_the_same_model_elsewhere_takes_over(provider: LoopbackProvider, open_embeddings: OpenEmbeddings) -> None:
    with LoopbackProvider(Reply(status=503)) as broken:
        breaker = {"failures": 3, "pause": 3600}
        async with open_embeddings(broken.url, provider.url, breaker=breaker) as embeddings:
            await embeddings.embed_documents(["one"])
            await embeddings.embed_documents(["two"])  # the breaker is open
            assert [row[:2] for row in await attempts_of(embeddings)] == [
                *[("place0", "failed")] * 3,
                *[("place1", "ok")] * 2,
            ]
        assert broken.count == 3


@pytest.mark.parametrize(
    ("chains", "reason"),
    [
        ({"embeddings": ["one", "two"]}, "different models embed differently: text-embedding-3-large, text-embed"),
        ({}, "none is called 'embeddings': name an embedding model there"),
    ],
)
async def test_another_model_never_takes_over(tmp_path: Path, chains: dict[str, Any], reason: str) -> None:
    config = {
        "candidates": {"one": {"model": MODEL}, "two": {"model": "openai:text-embedding-3-large"}},
        "chains": {"default": ["one"], **chains},
        "budgets": {"unlimited": True},
    }
    async with Gateway.open(config=config, prompts=tmp_path, database_url=f"sqlite:///{tmp_path / 'l.db'}") as gateway:
        with closing(EmbeddingCache(tmp_path / "e.db")) as cache, pytest.raises(ConfigError, match=reason):
            await Embeddings(gateway, cache).embed_documents(["one"])


@pytest.mark.parametrize(
    ("vectors", "reason"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], "2 vectors for 3 texts"),
        ([[1.0, 0.0], [0.0, 1.0], [1.0]], "vectors of different dimensions, or no vectors"),
        ([[1.0, 0.0], [0.0, 1.0], ["a", "b"]], "vectors of different dimensions, or no vectors"),
        ([None, None, None], "vectors of different dimensions, or no vectors"),
        ([[[1.0], [2.0]]] * 3, "vectors of different dimensions, or no vectors"),
        ([[1.0, 0.0], [0.0, 1.0], [float("nan"), 1.0]], "values that are no numbers"),
        ([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], "nothing but zeros"),
        ([[1.0], [1.0], [1.0]], "vectors of 1 dimensions"),
    ],
)
async def test_a_reply_that_is_not_what_was_asked_for_is_not_kept(
    provider: LoopbackProvider, open_embeddings: OpenEmbeddings, vectors: Any, reason: str
) -> None:
    provider.behaviour = lambda body: embed_reply(body, vectors)
    texts = ["one", "two", "three"]
    async with open_embeddings(provider.url, dimensions=2) as embeddings:
        with pytest.raises(AllCandidatesFailedError, match=reason):
            await embeddings.embed_documents(texts)
        assert embeddings.missing(texts) == texts
        assert [row[1:3] for row in await attempts_of(embeddings)] == [("ok", 2)]  # paid once, and not asked again


@pytest.mark.parametrize("length", [1e39, 1e30, 1e-30])
async def test_vectors_of_any_length_are_scaled(
    provider: LoopbackProvider, open_embeddings: OpenEmbeddings, length: float
) -> None:
    provider.behaviour = lambda body: embed_reply(body, [[3 * length, 4 * length]])
    async with open_embeddings(provider.url) as embeddings:
        for _ in range(2):  # as it came, and from the cache
            assert (await embeddings.embed_documents(["one"])).tolist() == [pytest.approx([0.6, 0.8], abs=0.001)]


async def test_a_service_that_answers_after_40_seconds_is_given_up(
    provider: LoopbackProvider, open_embeddings: OpenEmbeddings
) -> None:
    provider.behaviour = Reply(delay=40)
    retry = {"attempts": 1, "deadline": 120}
    async with open_embeddings(provider.url, retry=retry, candidate={"timeout": 1}) as embeddings:
        with pytest.raises(AllCandidatesFailedError, match="Timeout"):
            await asyncio.wait_for(embeddings.embed_documents(["one"]), 30)
        ((_, status, _, cost),) = await attempts_of(embeddings)
        assert (status, cost) == ("failed", 60)  # it may have been charged: three bytes, as tokens


async def test_personal_data_stays_here_if_it_must(provider: LoopbackProvider, open_embeddings: OpenEmbeddings) -> None:
    async with open_embeddings(provider.url, privacy={"send_personal_data": False}) as embeddings:
        await embeddings.embed_documents(["write to ada@example.com"])
        assert embeddings.missing(["write to ada@example.com"]) == []
    assert "ada@example.com" not in str(provider.requests[0].body)


async def test_a_lone_surrogate_is_replaced(provider: LoopbackProvider, open_embeddings: OpenEmbeddings) -> None:
    async with open_embeddings(provider.url) as embeddings:
        await embeddings.embed_documents(["a\ud800b"])
    assert provider.requests[0].body["input"] == ["a?b"]


async def test_the_offline_model_needs_no_provider_and_costs_nothing(open_embeddings: OpenEmbeddings) -> None:
    async with open_embeddings("", model="offline:hashing") as embeddings:
        vectors = await embeddings.embed_documents(["one"])
        assert vectors == pytest.approx(hash_embed(["one"]), abs=1e-3)
        assert embeddings.space == "hashing@own"
        assert [row[3] for row in await attempts_of(embeddings)] == [0]
