"""From a candidate's configuration to a model of the client library; no provider is named here."""

import inspect
import logging
import os
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

from pydantic_ai.models import Model, infer_model
from pydantic_ai.providers import Provider, infer_provider_class
from pydantic_settings import BaseSettings, SettingsConfigDict

from ai_base.llm.configuration.config import Candidate
from ai_base.llm.configuration.prices import OFFLINE
from ai_base.llm.errors import ConfigError
from ai_base.settings import env_file

if TYPE_CHECKING:  # what the client library uses for HTTP, and asks for itself
    from httpx2 import AsyncClient, Response

seen_headers: ContextVar[dict[str, str] | None] = ContextVar("seen_headers", default=None)
"""Where the attempt that is under way collects the headers of the provider's response."""


def http_client() -> "AsyncClient":
    """Make the pool of connections that all candidates share; it belongs to the event loop that it is first used in."""
    from httpx2 import AsyncClient, Timeout  # noqa: PLC0415 - with the first gateway

    from ai_base.llm.candidates.pools import Pools  # noqa: PLC0415

    logging.getLogger("httpx2").setLevel(logging.WARNING)  # every attempt has a line of its own, which says more
    pools = {} if getproxies() else {"all://": Pools()}  # the client knows how to use a proxy
    hooks = {"response": [_keep_headers]}
    return AsyncClient(timeout=Timeout(600, connect=5), mounts=pools, event_hooks=hooks)  # attempts have a time-out


async def _keep_headers(response: "Response") -> None:
    if (headers := seen_headers.get()) is not None:
        headers.update(response.headers)


class _DotEnv(BaseSettings):
    model_config = SettingsConfigDict(extra="allow")


def build_model(candidate: Candidate, client: "AsyncClient") -> Model:
    """Build the model that a candidate names.

    Raises:
        ConfigError: The provider is unknown or not installed, or its key is missing.
    """
    if candidate.model.partition(":")[0] == OFFLINE:
        from ai_base.llm.candidates.offline import OfflineModel  # noqa: PLC0415 - nobody needs it once there is a provider

        return OfflineModel()
    key = None
    if name := candidate.api_key_env:
        key = os.environ.get(name) or (_DotEnv(_env_file=env_file()).model_extra or {}).get(name.lower())
        if not key:
            raise ConfigError(name, "not set, neither in the environment nor in .env")

    def provider(kind: str) -> Provider[Any]:
        given = {"base_url": candidate.base_url, "api_key": key, "http_client": client}
        accepted = inspect.signature(found := infer_provider_class(kind)).parameters
        return found(**{name: value for name, value in given.items() if value is not None and name in accepted})

    try:
        return infer_model(candidate.model, provider)
    except (ImportError, RuntimeError, ValueError) as error:  # the client library's own
        raise ConfigError(candidate.model, str(error).splitlines()[0]) from error


def limit_left(headers: Mapping[str, str]) -> float | None:
    """Return the smallest share (0 to 1) of the provider's rate limits that is left; None where it does not say.

    Providers agree on pairs of headers such as `x-ratelimit-remaining-requests` and `x-ratelimit-limit-requests`.
    """
    shares = []
    for name, remaining in headers.items():
        limit = headers.get(name.replace("remaining", "limit")) if "ratelimit" in name and "remaining" in name else None
        if limit and (limit + remaining).isdecimal() and len(limit + remaining) < 30 and int(limit):  # noqa: PLR2004
            shares.append(min(1.0, int(remaining) / int(limit)))
    return min(shares, default=None)
