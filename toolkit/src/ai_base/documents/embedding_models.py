"""From a candidate's configuration to an embedding model of the client library, or to the offline one."""

from collections.abc import Sequence
from typing import Any

from httpx2 import AsyncClient
from pydantic_ai.embeddings import EmbeddingModel, EmbeddingResult, EmbeddingSettings, infer_embedding_model
from pydantic_ai.embeddings.result import EmbedInputType
from pydantic_ai.providers import Provider

from ai_base.documents.hashing import hash_embed
from ai_base.llm.candidates.providers import config_errors, provider_factory
from ai_base.llm.configuration.config import Candidate
from ai_base.llm.configuration.prices import OFFLINE


class OfflineEmbeddings(EmbeddingModel):
    """Computes embeddings from words and letters, without a provider (see `hashing`)."""

    model_name = "hashing"
    system = OFFLINE

    async def embed(
        self, inputs: str | Sequence[str], *, input_type: EmbedInputType, settings: EmbeddingSettings | None = None
    ) -> EmbeddingResult:
        """Return one vector of 384 numbers for each text."""
        texts, _ = self.prepare_embed(inputs, settings)
        vectors = hash_embed(texts).tolist()
        return EmbeddingResult(
            vectors, inputs=texts, input_type=input_type, model_name=self.model_name, provider_name=self.system
        )


def build_embedding_model(candidate: Candidate, client: AsyncClient) -> EmbeddingModel:
    """Build the embedding model that a candidate names. Its client does not retry: the guards do.

    Raises:
        ConfigError: The provider is unknown or not installed, has no embeddings, or its key is missing.
    """
    if candidate.model.partition(":")[0] == OFFLINE:
        return OfflineEmbeddings()
    factory = provider_factory(candidate, client)

    def without_retries(kind: str) -> Provider[Any]:
        provider = factory(kind)
        if hasattr(provider.client, "max_retries"):
            provider.client.max_retries = 0
        return provider

    with config_errors(candidate):
        return infer_embedding_model(candidate.model, provider_factory=without_retries)
