"""From a candidate's configuration to a model of the client library; no provider is named here."""

import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

from httpx2 import AsyncClient
from pydantic_ai.models import Model, infer_model
from pydantic_ai.providers import Provider, infer_provider_class
from pydantic_settings import BaseSettings, SettingsConfigDict

from ai_base.llm.configuration.config import Candidate
from ai_base.llm.configuration.prices import OFFLINE
from ai_base.llm.errors import ConfigError
from ai_base.settings import env_file

MOST_DIGITS = 30
"""Longest number in a rate-limit header that is read."""


class _DotEnv(BaseSettings):
    model_config = SettingsConfigDict(extra="allow")


def build_model(candidate: Candidate, client: AsyncClient) -> Model:
    """Build the model that a candidate names.

    Raises:
        ConfigError: The provider is unknown or not installed, or its key is missing or empty.
    """
    if candidate.model.partition(":")[0] == OFFLINE:
        from ai_base.llm.candidates.offline import OfflineModel  # noqa: PLC0415 - only without a provider

        return OfflineModel()
    with config_errors(candidate):
        return infer_model(candidate.model, provider_factory(candidate, client))


def provider_factory(candidate: Candidate, client: AsyncClient) -> Callable[[str], Provider[Any]]:
    """Return a function that makes the client library's provider, by its name, with the candidate's settings.

    Raises:
        ConfigError: The provider's key is missing or empty.
    """
    key = _read_key(candidate.api_key_env) if candidate.api_key_env else None

    def provider(kind: str) -> Provider[Any]:
        given = {"base_url": candidate.base_url, "api_key": key, "http_client": client}
        accepted = inspect.signature(found := infer_provider_class(kind)).parameters
        return found(**{name: value for name, value in given.items() if value is not None and name in accepted})

    return provider


@contextmanager
def config_errors(candidate: Candidate) -> Iterator[None]:
    """Raise the client library's errors about a candidate as `ConfigError`."""
    try:
        yield
    except ConfigError:
        raise
    except ImportError as error:
        raise ConfigError(candidate.model, _how_to_install(error)) from error
    except Exception as error:  # each client library has its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(candidate.model, f"{reason} If it needs a key, set `api_key_env`.") from error


def _read_key(name: str) -> str:
    key = os.environ.get(name) or str((_DotEnv(_env_file=env_file()).model_extra or {}).get(name.lower()) or "")
    if not key.strip():
        # Not "NAME: not set": a scrubber takes what follows a key's name and a colon for the key.
        raise ConfigError("environment", f"the variable {name} is missing or empty; set it there or in .env")
    return key.strip()


def _how_to_install(error: ImportError) -> str:
    """Say how to add the missing client library to the project."""
    named = re.search(r"pydantic-ai-slim\[([\w-]+)\]", str(error))
    if not named:
        return str(error)
    try:
        ours = metadata("ai-base").get_all("Provides-Extra") or []
    except PackageNotFoundError:  # a copy on the path
        ours = []
    package = "ai-base" if named[1] in ours else "pydantic-ai-slim"
    return f'its client library is not installed: uv add "{package}[{named[1]}]"'


def limit_left(headers: Mapping[str, str]) -> float | None:
    """Return the smallest share (0 to 1) of the provider's rate limits that is left; None where it does not say.

    Providers agree on pairs of headers such as `x-ratelimit-remaining-requests` and `x-ratelimit-limit-requests`.
    """
    shares = []
    for name, remaining in headers.items():
        if "ratelimit" not in name or "remaining" not in name:
            continue
        limit = headers.get(name.replace("remaining", "limit"), "")
        is_number = limit.isdecimal() and remaining.isdecimal() and len(limit + remaining) < MOST_DIGITS
        if is_number and int(limit):
            shares.append(min(1.0, int(remaining) / int(limit)))
    return min(shares, default=None)
