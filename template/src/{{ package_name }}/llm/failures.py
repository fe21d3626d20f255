"""What a failure means: for the next attempt, and for the bill."""

from typing import Literal

from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRequestRejectedError,
    UnexpectedModelBehavior,
)

from .errors import ConfigError

MISCONFIGURED = (ModelAuthenticationError, ModelNotFoundError, ModelQuotaExceededError, ConfigError)
TRANSIENT = (ModelAPIError, UnexpectedModelBehavior, TimeoutError, OSError)
GAVE_UP_WAITING = (408, 502, 504, 524)  # somebody on the way did; the provider may have answered, and charged
RETRYABLE_STATUS = (408, 409, 425, 429)


def kind_of(error: BaseException) -> Literal["misconfigured", "rejected", "transient", "other"]:
    """Sort a failure: somebody must mend the candidate, or the request; or time will; or it is none of these."""
    if isinstance(error, MISCONFIGURED):
        return "misconfigured"
    status = error.status_code if isinstance(error, ModelHTTPError) else 0
    if isinstance(error, ModelRequestRejectedError) or (400 <= status < 500 and status not in RETRYABLE_STATUS):  # noqa: PLR2004
        return "rejected"
    return "transient" if isinstance(error, TRANSIENT) else "other"


def is_free(error: BaseException) -> bool:
    """Whether the provider surely charged nothing: it answered with an error, or was never reached."""
    if isinstance(error, ModelHTTPError):
        return not error.in_stream and error.status_code not in GAVE_UP_WAITING
    return isinstance(error, ConfigError) or (
        isinstance(error, ModelConnectionError) and error.phase in ("pool", "connect")
    )
