"""What a failure means: for the next attempt, and for the bill."""

from typing import Literal

from pydantic_ai import exceptions

from ai_base.llm.errors import ConfigError, DeadlineExceededError, LLMError

MISCONFIGURED = (
    exceptions.ModelAuthenticationError,
    exceptions.ModelNotFoundError,
    exceptions.ModelQuotaExceededError,
    ConfigError,
)
TROUBLE = (exceptions.ModelAPIError, exceptions.UnexpectedModelBehavior)
GAVE_UP_WAITING = (408, 502, 504, 524)  # somebody on the way did; the provider may have answered, and charged
RETRYABLE_STATUS = (408, 409, 425, 429)


def kind_of(error: BaseException, *, streaming: bool) -> Literal["misconfigured", "rejected", "transient", "other"]:
    """Sort a failure: somebody must mend the candidate, or the request; or time will; or it is none of these.

    Whatever a client library raises over an odd answer is the candidate's. While a stream is read, an error may be the
    reader's as well: then only the client library's own kinds count.
    """
    ours = isinstance(error, (LLMError, AssertionError)) and not isinstance(error, ConfigError)
    if ours or not isinstance(error, TROUBLE if streaming else Exception):
        return "other"
    if isinstance(error, MISCONFIGURED):
        return "misconfigured"
    status = error.status_code if isinstance(error, exceptions.ModelHTTPError) else 0
    broken = 400 <= status < 500 and status not in RETRYABLE_STATUS  # noqa: PLR2004
    return "rejected" if broken or isinstance(error, exceptions.ModelRequestRejectedError) else "transient"


def is_free(error: BaseException, *, streaming: bool) -> bool:
    """Whether the provider surely charged nothing: it answered with an error, or was never reached."""
    if streaming:
        return False
    if isinstance(error, exceptions.ModelHTTPError):
        return not error.in_stream and error.status_code not in GAVE_UP_WAITING
    return isinstance(error, (ConfigError, DeadlineExceededError)) or (
        isinstance(error, exceptions.ModelConnectionError) and error.phase in ("pool", "connect")
    )
