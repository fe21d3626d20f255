"""The keys of `config/llm.toml`: what the AI may use, spend and retry."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ai_base.llm.configuration.prices import Dollars, Rates, price_of

type Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
type Count = Annotated[int, Field(ge=1)]
type Share = Annotated[float, Field(gt=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Candidate(_Part):
    """One model at one provider, and its limits."""

    model: Annotated[str, Field(pattern=r"^[\w./-]+:.*$")]
    """`provider:model`, as the client library names them."""
    base_url: str | None = None
    """Root of a server that speaks the same protocol; by default the provider's own."""
    api_key_env: Annotated[str, Field(pattern="^[A-Z][A-Z0-9_]*$")] | None = None
    """The environment variable that holds the key."""
    price: Rates | None = None
    """Overrides the known price of the model."""
    max_output_tokens: Count = 1000
    """Longest answer; a prompt may set its own."""
    context_window: Count | None = None
    """In tokens; needed where the client library does not know it."""
    timeout: Seconds = 30
    """For one attempt."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """By default the provider's; a prompt may set its own."""
    requests_per_minute: Count | None = None
    """By this process; by default unlimited."""
    concurrency: Count = 20
    """Requests in flight from this process."""
    queue: Annotated[int, Field(ge=0)] = 10_000
    """Most callers that may wait for this candidate; further callers go to the next one."""
    usage: Literal["auto", "sum", "last"] = "auto"
    """How token counts are read: `sum` adds those of a stream's chunks, `last` takes the last one, `auto` decides."""
    charge_server_errors: bool = True
    """Whether a 500 costs its reservation: a provider may bill what it processed before it failed."""
    when_refused: Literal["raise", "next"] = "raise"
    """What follows a model's refusal: an error, or the next candidate."""


class Retry(_Part):
    """Retries of one candidate. The deadline covers a whole interaction."""

    attempts: Count = 3
    """Of one candidate, the first one included."""
    base_delay: Seconds = 0.5
    """Before the second attempt; doubles with every further one, with jitter."""
    max_delay: Seconds = 20
    """Longest wait between two attempts."""
    deadline: Seconds = 60
    """For a whole interaction, fallbacks included."""


class Breaker(_Part):
    """After how many failures a candidate is skipped, and for how long (seconds)."""

    failures: Count = 5
    """In a row, after which the candidate is skipped."""
    pause: Seconds = 30
    """Until one probe is sent."""
    misconfigured_pause: Seconds = 3600
    """The same after a revoked key or a retired model; an edit of the candidate ends it."""


class Caps(_Part):
    """US dollars per calendar period, UTC."""

    minute: Dollars | None = None
    """Limits how fast money is spent."""
    hour: Dollars | None = None
    """Per clock hour."""
    day: Dollars | None = None
    """Per day, from midnight UTC."""
    month: Dollars | None = None
    """Per calendar month."""


class InteractionCaps(_Part):
    """What one interaction may cost, and how many calls it may make."""

    dollars: Dollars | None = None
    """By default only the other caps hold."""
    calls: Count = 8
    """Attempts, retries and fallbacks included."""


class SoftLanding(_Part):
    """From a share of any cap on, questions go to a cheaper chain."""

    at: Share
    """Share of a cap, 0 to 1."""
    chain: str
    """The cheaper chain."""


class Budgets(_Part):
    """Caps. A call that could exceed one of them is not made."""

    interaction: InteractionCaps = InteractionCaps()
    """For one question or one run of an agent."""
    overall: Caps = Caps()
    """For all calls together."""
    each_cost_center: Caps = Caps()
    """For every cost centre without its own entry in `cost_centers`."""
    cost_centers: dict[str, Caps] = {}
    """For single cost centres, by name."""
    each_user: Caps = Caps()
    """For every user without their own entry in `users`. Calls without a user have no such cap."""
    users: dict[str, Caps] = {}
    """For single users, by name."""
    unlimited: bool = False
    """Without it `overall` needs a cap: a file that was cut off while being written must not lift every cap."""
    enforce: bool = True
    """If false, caps only watch: a call that would exceed one is logged and made. All is recorded either way."""
    warn_at: Share = 0.8
    """Share of a cap at which a warning is logged."""
    soft_landing: SoftLanding | None = None
    """From a share of a cap on, a cheaper chain is asked."""
    when_ledger_fails: Literal["refuse", "spend"] = "refuse"
    """Refuse calls while the ledger cannot be written, or make them unrecorded."""

    @model_validator(mode="after")
    def _require_a_cap(self) -> Self:
        if not self.unlimited and not any(cap is not None for _, cap in self.overall):
            raise ValueError('`overall` has no cap: set one, such as overall = { day = "20" }, or unlimited = true')
        return self


class Cache(_Part):
    """Seconds for which a stored answer may be returned: `fresh` instead of a call, `stale` when no call succeeds."""

    fresh: Annotated[float, Field(ge=0)] = 0
    """Age up to which a stored answer is returned instead of a call."""
    stale: Annotated[float, Field(ge=0)] = 7 * 86_400
    """Age up to which it is returned when no candidate can answer."""


class Input(_Part):
    """Longest input, and what happens to a longer one."""

    max_bytes: Count = 100_000
    """Longest input."""
    too_long: Literal["refuse", "cut"] = "refuse"
    """What happens to a longer one."""


class Output(_Part):
    """How an answer is checked and made safe to show."""

    html: Literal["escape", "keep"] = "escape"
    """Active HTML in answers; keep it only where answers are never shown in a browser."""
    strict: bool = False
    """Refuse a reply whose syntax needs a repair, instead of repairing it."""


class Privacy(_Part):
    """Whether personal data is sent to the provider. Logs and ledger never hold any."""

    send_personal_data: bool = True
    """If false, it is scrubbed before a request leaves for a provider."""


class Escalation(_Part):
    """Below this confidence the stronger chain is asked, then a person."""

    confidence: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Below it, the stronger chain is asked."""
    chain: str | None = None
    """The stronger chain; without one, a person is asked at once."""
    human: bool = True
    """Whether an answer that stays below it waits for a person."""


class Config(BaseSettings):
    """The whole configuration. `LLM__BUDGETS__OVERALL__DAY=5` in the environment or `.env` overrides the file."""

    model_config = SettingsConfigDict(
        env_prefix="LLM__", env_nested_delimiter="__", dotenv_filtering="match_prefix", frozen=True
    )

    candidates: dict[str, Candidate]
    """Models at providers, by name."""
    chains: dict[str, Annotated[list[str], Field(min_length=1)]]
    """Names of candidates in the order in which they are asked. One chain is called `default`."""
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    budgets: Budgets
    cache: Cache = Cache()
    input: Input = Input()
    output: Output = Output()
    privacy: Privacy = Privacy()
    escalation: Escalation = Escalation()

    @classmethod
    def settings_customise_sources(cls, *_: Any, **sources: Any) -> tuple[PydanticBaseSettingsSource, ...]:  # noqa: ANN401
        """Give the environment precedence over `.env`, and both over the file."""
        return sources["env_settings"], sources["dotenv_settings"], sources["init_settings"]

    @model_validator(mode="after")
    def _check_names_and_prices(self) -> Self:
        if "default" not in self.chains:
            raise ValueError("chains: one of them must be called default")
        for chain, names in self.chains.items():
            if unknown := [name for name in names if name not in self.candidates]:
                raise ValueError(f"chains.{chain}: no candidate is called {', '.join(unknown)}")
        soft = self.budgets.soft_landing
        named = {"escalation.chain": self.escalation.chain, "budgets.soft_landing.chain": soft.chain if soft else None}
        for key, chain_name in named.items():
            if chain_name and chain_name not in self.chains:
                raise ValueError(f"{key}: no chain is called {chain_name}")
        for name, candidate in self.candidates.items():
            if price_of(candidate.model, candidate.price) is None:
                unknown_price = f"the price of {candidate.model} is not known; correct the name, or set `price`"
                raise ValueError(f"candidates.{name}: {unknown_price}")
        return self
