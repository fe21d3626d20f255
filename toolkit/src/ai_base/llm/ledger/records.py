"""The rows of the ledger; each field is a column."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

_clock: Callable[[], datetime] = partial(datetime.now, UTC)


def now() -> str:
    """Return the current time, UTC, in a form that sorts as text. It decides which period of a cap a call counts in."""
    return _clock().isoformat(timespec="microseconds")


@contextmanager
def simulated_time(clock: Callable[[], datetime]) -> Iterator[None]:
    """Replace the clock from which this process takes the time of its records, for demonstrations and tests."""
    global _clock  # noqa: PLW0603 - one clock a process
    real, _clock = _clock, clock
    try:
        yield
    finally:
        _clock = real


def new_id() -> str:
    """Return an id that sorts by time, so that a growing index is written at its end only."""
    return f"{time.time_ns():016x}{secrets.token_hex(8)}"


@dataclass
class Interaction:
    """One question to the AI and its outcome, with one or more attempts."""

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
    """The answer, scrubbed."""
    model: str = ""
    source: str = ""
    """model, cache, fallback or human; empty if there was no answer."""
    status: str = "open"
    """ok, failed, refused (no money was spent on it) or lost (its process died)."""
    error: str = ""
    confidence: float | None = None
    calls: int = 0
    cost: int = 0
    latency_ms: float = 0.0
    repairs: str = ""
    """What was repaired in the reply's syntax, separated by semicolons."""
    truncated: bool = False
    """Whether the answer was cut off."""
    cache_key: str = ""
    """The key under which the response can be used again; empty if it cannot."""


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
    """As the provider reports it; as configured if it reports nothing."""
    status: str = "open"
    """ok, failed, abandoned (its caller was cancelled) or lost (its process died)."""
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
    """Share of the model's context window that request and answer took, 0 to 1."""
    limit_left: float | None = None
    """Share of the provider's rate limit that is left, 0 to 1, from its response headers."""
    breaker: str = "closed"
    user: str = ""
    cached_input_tokens: int = 0
    """Input tokens that the provider read from its cache; `input_tokens` includes them."""
    reasoning_tokens: int = 0
    """Output tokens that were not shown; `output_tokens` includes them."""


@dataclass
class Escalation:
    """A question that waits for a person's answer, or has one."""

    id: str
    interaction_id: str
    created_at: str
    key: str
    """Equal for equal questions, so that the next caller gets the person's answer too."""
    reason: str
    prompt: str
    request: str
    draft: str = ""
    """The model's output, if there was one."""
    output_type: str = ""
    """`module:Class` that an answer must fit; empty for text."""
    answer: str = ""
    answered_at: str = ""
    answered_by: str = ""
    used_at: str = ""
    """When an approved tool call was started; empty for other questions. An approval is used once."""


@dataclass
class Step:
    """One step of an agent's run: a tool call and what came of it, the answer, or the question at the beginning."""

    id: str
    """Sorts in the order in which the model asked for the calls."""
    run_id: str
    interaction_id: str
    started_at: str
    request: int = 0
    """Number of the model's response within the run, from 1; 0 for the question."""
    position: int = 0
    """Of the tool call in the response, from 1; 0 for the answer and the question."""
    thought: str = ""
    """The text of the response, scrubbed; as tokens and cost, only on its first step. Of the question: instructions."""
    tool: str = ""
    arguments: str = ""
    """JSON, scrubbed. For the question: the definitions of the tools."""
    observation: str = ""
    """What the tool returned or why it did not, scrubbed; the answer; the question."""
    outcome: str = ""
    """ok, failed, denied, waiting (for a person), skipped (a limit), answer or question."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    """Of the model request, with its retries."""
    model_ms: float = 0.0
    tool_ms: float = 0.0


def storable(value: object) -> object:
    """Return the value; a text without NUL and lone surrogates, which not every database stores."""
    if isinstance(value, str) and not (value.isascii() and "\0" not in value):
        return value.encode(errors="replace").decode().replace("\0", "\ufffd")
    return value


_NOT_LOGGED = ("request", "response", "cache_key")


def log_fields(row: Interaction | Attempt) -> dict[str, object]:
    """Return the fields of a row for a log line: without the texts, which may be long, and without empty fields."""
    fields = {name: value for name, value in vars(row).items() if name not in _NOT_LOGGED}
    return {name: value for name, value in fields.items() if value is not None and value is not False and value != ""}
