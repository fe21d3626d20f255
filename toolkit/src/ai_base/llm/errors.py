"""The errors of AI calls: one hierarchy. An error that is about a limit carries the numbers as attributes."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal

from ai_base.errors import AIBaseError


class LLMError(AIBaseError):
    """Base class: an AI call ended without an answer."""

    unsettled: Any = None
    """The model's response, if one was paid for and the ledger could not settle it."""


class ConfigError(LLMError):
    """The configuration, a prompt file or an environment variable is invalid."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where, self.reason = where, reason


class PromptVariableError(LLMError):
    """A prompt was called with missing or unexpected variables."""

    def __init__(self, prompt: str, missing: Sequence[str], unexpected: Sequence[str]) -> None:
        problems = []
        if missing:
            problems.append(f"missing: {', '.join(missing)}")
        if unexpected:
            problems.append(f"unexpected: {', '.join(unexpected)}")
        super().__init__(f"prompt {prompt!r}: {'; '.join(problems)}")
        self.prompt, self.missing, self.unexpected = prompt, missing, unexpected


# ---- Refused: the call was not made, nothing was spent ----


class RefusedError(LLMError):
    """The call would exceed a configured limit. It was not made."""


class BudgetExceededError(RefusedError):
    """The call could exceed a cap. All amounts in US dollars."""

    def __init__(self, scope: str, cap: Decimal, spent: Decimal, held: Decimal, asked: Decimal) -> None:
        super().__init__(
            f"budget {scope}: cap ${cap:f}, spent ${spent:f}, held for calls in flight ${held:f}; "
            f"this call could cost ${asked:f}"
        )
        self.scope, self.cap, self.spent, self.held, self.asked = scope, cap, spent, held, asked


class CallLimitError(RefusedError):
    """The interaction has made as many calls as it may."""

    def __init__(self, limit: int, made: int) -> None:
        super().__init__(f"this interaction has made {made} calls of {limit}")
        self.limit, self.made = limit, made


class UnpricedModelError(RefusedError):
    """There is no upper bound for the cost of the call."""

    def __init__(self, model: str, reason: str = "its price is not known; set `price` in config/llm.toml") -> None:
        super().__init__(f"model {model!r}: {reason}")
        self.model = model


class InputTooLargeError(RefusedError):
    """The input is longer than `input.max_bytes`."""

    def __init__(self, limit: int, got: int) -> None:
        super().__init__(f"the input has {got:,} bytes; input.max_bytes allows {limit:,}")
        self.limit, self.got = limit, got


# ---- Unavailable: another candidate may answer, or the same one later ----


class UnavailableError(LLMError):
    """A candidate cannot answer now."""


class CircuitOpenError(UnavailableError):
    """The candidate failed too often, or is misconfigured, and is skipped for a while."""

    def __init__(self, candidate: str, state: str, retry_in: float, cause: str | None = None) -> None:
        because = f" ({cause})" if cause else ""
        super().__init__(f"{candidate}: circuit {state}{because}, next probe in {retry_in:.1f} s")
        self.candidate, self.state, self.retry_in, self.cause = candidate, state, retry_in, cause


class QueueFullError(UnavailableError):
    """Too many callers wait for the candidate, or the wait would be too long."""

    def __init__(self, candidate: str, reason: str, limit: float, got: float) -> None:
        super().__init__(f"{candidate}: {reason}")
        self.candidate, self.limit, self.got = candidate, limit, got


type FailureKind = Literal["transient", "rate_limited", "unsuitable", "misconfigured"]
"""transient: a retry can help. rate_limited: a retry can help once the limit allows it. unsuitable: this candidate
cannot serve this request, another one may. misconfigured: it needs a change of its key, model or billing."""


class AttemptFailedError(UnavailableError):
    """An attempt failed; `__cause__` is the client library's error, `retry_after` the provider's wait (seconds)."""

    def __init__(
        self, candidate: str, reason: str, *, kind: FailureKind = "transient", retry_after: float | None = None
    ) -> None:
        super().__init__(f"{candidate}: {reason}")
        self.candidate, self.kind, self.retry_after = candidate, kind, retry_after


class AllCandidatesFailedError(LLMError):
    """No candidate of the chain gave a usable answer; `errors` holds the reasons, in order."""

    def __init__(self, chain: str, errors: Sequence[Exception]) -> None:
        super().__init__(f"chain {chain!r}: " + "; ".join(f"{type(error).__name__}: {error}" for error in errors))
        self.chain, self.errors = chain, errors


class DeadlineExceededError(LLMError):
    """The interaction reached its deadline (seconds)."""

    def __init__(self, deadline: float) -> None:
        super().__init__(f"no answer within {deadline:g} s")
        self.deadline = deadline


class RejectedRequestError(LLMError):
    """The provider refuses the request itself (such as 400 or 422); another provider would refuse it as well."""


class ModelRefusalError(LLMError):
    """The model refuses to answer; `refusal` is what it says.

    By default no other candidate is asked: a refusal is a decision about the request, and asking around until a model
    complies is for the application to decide (`when_refused = "next"` of a candidate).
    """

    def __init__(self, candidate: str, refusal: str) -> None:
        super().__init__(f"{candidate} refuses: {refusal}")
        self.candidate, self.refusal = candidate, refusal


class InvalidInputError(LLMError):
    """The request cannot be encoded, for example because a text holds half of a surrogate pair."""


class InvalidOutputError(LLMError):
    """The reply does not fit the output type."""

    def __init__(self, reason: str, response: str) -> None:
        super().__init__(f"invalid output: {reason}")
        self.reason, self.response = reason, response


class TruncatedOutputError(InvalidOutputError):
    """The reply was cut off: at the output limit, or because the stream broke off."""

    def __init__(
        self, response: str, reason: str = "it was cut off at the output limit; raise max_output_tokens"
    ) -> None:
        super().__init__(reason, response)


class AwaitingHumanError(LLMError):
    """No model could answer; the question waits for a person. Ask it again later."""

    exit_code = 4

    def __init__(self, escalation_id: str) -> None:
        command = f"escalations answer {escalation_id} TEXT"
        super().__init__(f"escalation {escalation_id} waits for a person. To answer: {command}")
        self.escalation_id = escalation_id


# ---- The ledger ----


class LedgerError(LLMError):
    """The ledger cannot be used; without it no money is spent."""


class LedgerSchemaError(LedgerError):
    """The database was made by a newer version."""

    def __init__(self, found: int, expected: int) -> None:
        super().__init__(f"the ledger has schema {found}, this version needs {expected}: update the application")
        self.found, self.expected = found, expected
