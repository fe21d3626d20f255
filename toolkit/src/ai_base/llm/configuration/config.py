"""What the AI may use, spend and retry: `config/llm.toml`, checked; environment variables override it."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ai_base.llm.configuration.prices import Dollars, Rates, price_of
from ai_base.llm.errors import ConfigError
from ai_base.settings import env_file

type Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
type Count = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Candidate(_Part):
    """One model at one provider, and what may be asked of it."""

    model: Annotated[str, Field(pattern=r"^[\w./-]+:.*$")]
    """`provider:model`, as the client library names them."""
    base_url: str | None = None
    api_key_env: Annotated[str, Field(pattern="^[A-Z][A-Z0-9_]*$")] | None = None
    """The environment variable that holds the key."""
    price: Rates | None = None
    """Wins over the price that is known for the model."""
    max_output_tokens: Count = 1000
    context_window: Count | None = None
    """In tokens; where the client library does not know it."""
    timeout: Seconds = 30
    """For one attempt."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    requests_per_minute: Count | None = None
    concurrency: Count = 20
    queue: Annotated[int, Field(ge=0)] = 1000
    """Most callers that wait for this candidate; more are sent to the next one."""


class Retry(_Part):
    """Of one candidate; the deadline is for a whole interaction."""

    attempts: Count = 3
    base_delay: Seconds = 0.5
    max_delay: Seconds = 20
    deadline: Seconds = 60


class Breaker(_Part):
    """When a candidate is left alone, and for how long."""

    failures: Count = 5
    pause: Seconds = 30
    misconfigured_pause: Seconds = 3600


class Caps(_Part):
    """US dollars per calendar period, UTC."""

    hour: Dollars | None = None
    day: Dollars | None = None
    month: Dollars | None = None


class InteractionCaps(_Part):
    """What one interaction may cost, and how many calls it may make."""

    dollars: Dollars | None = None
    calls: Count = 8


class Budgets(_Part):
    """Hard caps: a call that could pass one of them is not made."""

    interaction: InteractionCaps = InteractionCaps()
    overall: Caps = Caps()
    each_cost_center: Caps = Caps()
    """For every cost centre that is not named below."""
    cost_centers: dict[str, Caps] = {}
    when_ledger_fails: Literal["refuse", "spend"] = "refuse"


class Cache(_Part):
    """Seconds for which an answer serves again: instead of a call, and when every candidate is down."""

    fresh: Annotated[float, Field(ge=0)] = 0
    stale: Annotated[float, Field(ge=0)] = 7 * 86_400


class Input(_Part):
    """What is done with an input that is too long."""

    max_bytes: Count = 100_000
    too_long: Literal["refuse", "cut"] = "refuse"


class Output(_Part):
    """How an answer is made safe to show."""

    html: Literal["escape", "keep"] = "escape"


class Privacy(_Part):
    """Logs and ledger never hold personal data; this is about the provider."""

    send_personal_data: bool = True


class Escalation(_Part):
    """Below this confidence, the stronger chain is asked, then a person."""

    confidence: Annotated[float, Field(ge=0, le=1)] = 0.6
    chain: str | None = None
    human: bool = True


class Config(BaseSettings):
    """All of it. `LLM__BUDGETS__OVERALL__DAY=5` in the environment or `.env` wins over `day` in `[budgets.overall]`."""

    model_config = SettingsConfigDict(
        env_prefix="LLM__", env_nested_delimiter="__", dotenv_filtering="match_prefix", frozen=True
    )

    candidates: dict[str, Candidate]
    chains: dict[str, Annotated[list[str], Field(min_length=1)]]
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    budgets: Budgets
    """Has to be there, if only as `[budgets]`: a file that was cut in writing must not lift every cap."""
    cache: Cache = Cache()
    input: Input = Input()
    output: Output = Output()
    privacy: Privacy = Privacy()
    escalation: Escalation = Escalation()

    @classmethod
    def settings_customise_sources(cls, *_: Any, **sources: Any) -> tuple[PydanticBaseSettingsSource, ...]:  # noqa: ANN401
        """Let the environment win over the file."""
        return sources["env_settings"], sources["dotenv_settings"], sources["init_settings"]

    @model_validator(mode="after")
    def _check_names_and_prices(self) -> Self:
        if "default" not in self.chains:
            raise ValueError("chains: one of them must be called default")
        for chain, names in self.chains.items():
            if unknown := [name for name in names if name not in self.candidates]:
                raise ValueError(f"chains.{chain}: no candidate is called {', '.join(unknown)}")
        if self.escalation.chain and self.escalation.chain not in self.chains:
            raise ValueError(f"escalation.chain: no chain is called {self.escalation.chain}")
        for name, candidate in self.candidates.items():
            if price_of(candidate.model, candidate.price) is None:
                raise ValueError(f"candidates.{name}: the price of {candidate.model} is not known; give it as `price`")
        return self


def parse_config(source: str | Mapping[str, object], path: Path | str = "config") -> Config:
    """Check a configuration, given as TOML or as what TOML is read to.

    Raises:
        ConfigError: It names file, line and reason, or the environment variable.
    """
    text = source if isinstance(source, str) else ""
    try:
        given = tomllib.loads(source) if isinstance(source, str) else source
        if odd := [key for key in given if key.startswith("_")]:  # the base class takes these for its own options
            raise ConfigError(str(path), f"{odd[0]}: no such key")
        for name in (name for name in os.environ if name.upper().startswith("LLM__")):
            if name.split("__")[1].lower() not in Config.model_fields:
                raise ConfigError(name, "there is no such setting")
        return Config(_env_file=env_file(), **given)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise ConfigError(f"{path}:{line[1] if line else text.count(chr(10)) + 1}", str(error)) from None
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        reason = detail["msg"].removeprefix("Value error, ")
        keys = [str(key) for key in detail["loc"]] or reason.partition(":")[0].split(".")
        variable = f"LLM__{'__'.join(keys)}".upper()
        where = variable if variable in os.environ else f"{path}:{_line_of(text, keys)}" if text else str(path)
        if detail["loc"]:
            shown = detail["type"] not in ("missing", "extra_forbidden") and "key" not in keys[-1]  # may be a secret
            reason = f"{'.'.join(keys)}: {reason}" + f" (got {str(detail['input'])[:60]!r})" * shown
        raise ConfigError(where, reason) from None
    except (
        RecursionError,
        ValueError,
    ) as error:  # nested too deeply; a variable that is no JSON where a table is wanted
        raise ConfigError(f"{path}, or the environment", str(error)) from None


def _line_of(text: str, keys: list[str]) -> int:
    """Find the line (from 1) of the deepest of nested keys; a table or an inline table stands for what it holds."""
    table: list[str] = []
    best, depth = 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r"\s*(?:\[+([^\]]+)\]|([\w\"'. -]+?)\s*=)", line)
        path = [key.strip(" \"'") for key in (found[1] or found[2]).split(".")] if found else []
        if found and found[1]:
            table = path
        elif found:
            path = [*table, *path]
        if len(path) > depth and keys[: len(path)] == path:
            best, depth = number, len(path)
    return best
