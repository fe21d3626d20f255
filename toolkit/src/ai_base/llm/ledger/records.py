"""The rows of the ledger; each field is a column."""

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime


def now() -> str:
    """Return the current time, UTC, in a form that sorts as text."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def new_id() -> str:
    """Return an id that sorts by time, so that a growing index is written at its end only."""
    return f"{time.time_ns():016x}{secrets.token_hex(8)}"


@dataclass
class Interaction:
    """One question to the AI and what became of it, however many attempts that took."""

    id: str
    started_at: str
    prompt: str = ""
    prompt_version: str = ""
    chain: str = ""
    output_type: str = ""
    """`module:Class`; empty for text."""
    cost_center: str = "default"
    user: str = ""
    correlation_id: str = ""
    request: str = ""
    """The rendered prompt, scrubbed."""
    response: str = ""
    """What was answered, scrubbed."""
    model: str = ""
    source: str = ""
    """model, cache, fallback or human; empty when nothing was answered."""
    status: str = "open"
    """ok, failed, refused (no money was spent on it) or lost (its process died)."""
    error: str = ""
    confidence: float | None = None
    calls: int = 0
    cost: int = 0
    latency_ms: float = 0.0


@dataclass
class Attempt:
    """One request to one provider."""

    id: str
    interaction_id: str
    number: int
    """From 1, within the interaction."""
    candidate: str
    started_at: str
    cost_center: str = "default"
    prompt: str = ""
    model: str = ""
    """As the provider reports it; as configured where it reported nothing."""
    status: str = "open"
    """ok, failed, abandoned (its caller went away) or lost (its process died)."""
    error: str = ""
    reserved: int = 0
    cost: int = 0
    cost_basis: str = "none"
    """reported (from the tokens used), assumed (the reservation: the provider may have charged), none (it refused)."""
    input_tokens: int = 0
    output_tokens: int = 0
    latency_ms: float = 0.0
    queue_ms: float = 0.0
    context_used: float | None = None
    """Share of the model's context window that the request and the answer took, 0 to 1."""
    limit_left: float | None = None
    """Share of the provider's rate limit that is left, 0 to 1, from its response headers."""
    breaker: str = "closed"


@dataclass
class Escalation:
    """A question that waits for a person, or has been answered by one."""

    id: str
    interaction_id: str
    created_at: str
    key: str
    """Equal for equal questions, so that a person's answer serves the next caller too."""
    reason: str
    prompt: str
    request: str
    draft: str = ""
    """What the model would have answered, where it did."""
    output_type: str = ""
    """`module:Class` that an answer must fit; empty for text."""
    answer: str = ""
    answered_at: str = ""
    answered_by: str = ""


def storable(value: object) -> object:
    """Make a text one that every database takes: valid UTF-8 without NUL."""
    if isinstance(value, str) and not (value.isascii() and "\0" not in value):
        return value.encode(errors="replace").decode().replace("\0", "\ufffd")
    return value


def told(row: Interaction | Attempt) -> dict[str, object]:
    """Return what a row holds, for a line in the log: without texts, which may be long, and without what is empty."""
    return {name: value for name, value in vars(row).items() if value not in ("", None) and name not in _TEXTS}


_TEXTS = ("request", "response")
PERIODS = {"hour": 13, "day": 10, "month": 7}
"""How many characters of a time stamp name the period."""


def scopes_of(started_at: str, cost_center: str) -> list[str]:
    """Name the counters that an attempt is held against, in order; those without a cap as well, for the cap to come."""
    names = (f"cost center {cost_center}", "overall")
    return sorted(f"{name}, {period} {started_at[:end]}" for name in names for period, end in PERIODS.items())
