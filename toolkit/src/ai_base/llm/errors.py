"""Every refusal and failure of this package: one hierarchy, and each carries its numbers."""

from collections.abc import Sequence
from decimal import Decimal

from ai_base.errors import AIBaseError


class LLMError(AIBaseError):
    """Anything that an AI call can end in, other than an answer."""


class ConfigError(LLMError):
    """`config/llm.toml`, a prompt file or an environment variable holds what cannot be used."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where, self.reason = where, reason


class PromptVariableError(LLMError):
    """A prompt was given too few variables, or too many."""

    def __init__(self, prompt: str, missing: Sequence[str], unexpected: Sequence[str]) -> None:
        told = {"missing": missing, "unexpected": unexpected}
        super().__init__(f"prompt {prompt!r}: " + "; ".join(f"{k}: {', '.join(v)}" for k, v in told.items() if v))
        self.prompt, self.missing, self.unexpected = prompt, missing, unexpected


# ---- Refused: not a cent was spent ----


class RefusedError(LLMError):
    """A limit of ours would have been passed."""


class BudgetExceededError(RefusedError):
    """A cap would have been passed. All amounts in US dollars."""

    def __init__(self, scope: str, cap: Decimal, spent: Decimal, held: Decimal, asked: Decimal) -> None:
        super().__init__(
            f"budget {scope}: cap ${cap:f}, spent ${spent:f}, held for calls in flight ${held:f}, asked ${asked:f}"
        )
        self.scope, self.cap, self.spent, self.held, self.asked = scope, cap, spent, held, asked


class CallLimitError(RefusedError):
    """An interaction has made all the calls that it may."""

    def __init__(self, limit: int, made: int) -> None:
        super().__init__(f"this interaction has made {made} calls of {limit}")
        self.limit, self.made = limit, made


class UnpricedModelError(RefusedError):
    """What a call would cost at most is not known."""

    def __init__(self, model: str, reason: str = "its price is not known; set `price` in config/llm.toml") -> None:
        super().__init__(f"model {model!r}: {reason}")
        self.model = model


class InputTooLargeError(RefusedError):
    """The input is longer than `input.max_bytes`."""

    def __init__(self, limit: int, got: int) -> None:
        super().__init__(f"the input has {got:,} bytes, more than {limit:,}")
        self.limit, self.got = limit, got


# ---- Unavailable: another candidate, or another time, may do ----


class UnavailableError(LLMError):
    """One candidate cannot answer now."""


class CircuitOpenError(UnavailableError):
    """A candidate failed too often, or is misconfigured, and is left alone for a while."""

    def __init__(self, candidate: str, state: str, retry_in: float) -> None:
        super().__init__(f"{candidate}: circuit {state}, next probe in {retry_in:.1f} s")
        self.candidate, self.state, self.retry_in = candidate, state, retry_in


class QueueFullError(UnavailableError):
    """Too many callers wait for a candidate, or the wait would pass the deadline."""

    def __init__(self, candidate: str, reason: str, limit: float, got: float) -> None:
        super().__init__(f"{candidate}: {reason} ({got:.1f} of {limit:.1f})")
        self.candidate, self.limit, self.got = candidate, limit, got


class AttemptFailedError(UnavailableError):
    """A candidate failed; `__cause__` is the client library's error.

    `transient` tells whether trying again can help, `retry_after` (seconds) what the provider asked for.
    """

    def __init__(self, candidate: str, reason: str, *, transient: bool, retry_after: float | None = None) -> None:
        super().__init__(f"{candidate}: {reason}")
        self.candidate, self.transient, self.retry_after = candidate, transient, retry_after


class AllCandidatesFailedError(LLMError):
    """No candidate of a chain gave a usable answer; `errors` tells why, in order."""

    def __init__(self, chain: str, errors: Sequence[Exception]) -> None:
        super().__init__(f"chain {chain!r}: " + "; ".join(f"{type(error).__name__}: {error}" for error in errors))
        self.chain, self.errors = chain, errors


class DeadlineExceededError(LLMError):
    """An interaction took longer than it may, in seconds."""

    def __init__(self, deadline: float) -> None:
        super().__init__(f"no answer within {deadline:g} s")
        self.deadline = deadline


class RejectedRequestError(LLMError):
    """The provider refuses this request itself (400, 422): it would be as broken anywhere else."""


class InvalidOutputError(LLMError):
    """The answer does not fit its type, not even after the repair."""

    def __init__(self, reason: str, response: str) -> None:
        super().__init__(f"invalid output: {reason}")
        self.reason, self.response = reason, response


class AwaitingHumanError(LLMError):
    """No model could answer; the question waits for a person. Ask again later."""

    def __init__(self, escalation_id: str) -> None:
        super().__init__(f"escalation {escalation_id} waits for a person's answer")
        self.escalation_id = escalation_id


# ---- The ledger ----


class LedgerError(LLMError):
    """The ledger cannot be used, so nothing may be spent."""


class LedgerSchemaError(LedgerError):
    """The database was made by another version."""

    def __init__(self, found: int, expected: int) -> None:
        super().__init__(f"the ledger has schema {found}, this version needs {expected}: update the application")
        self.found, self.expected = found, expected
