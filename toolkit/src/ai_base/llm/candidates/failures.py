"""What a failure means: for the next attempt, and for the bill."""

from collections.abc import Iterator

from pydantic_ai import exceptions
from pydantic_ai.messages import ModelResponse

from ai_base.llm.candidates.provider_errors import (
    CHARGED_CODES,
    CODES,
    MAY_BE_CHARGED,
    MESSAGES,
    SERVER_ERROR,
    STATUSES,
    Kind,
)
from ai_base.llm.candidates.transport import ResponseTooLargeError
from ai_base.llm.errors import ConfigError, DeadlineExceededError, LLMError

PROVIDER_ERRORS = (exceptions.ModelAPIError, exceptions.UnexpectedModelBehavior)
CATEGORIES: tuple[tuple[type[Exception], Kind], ...] = (
    (exceptions.ModelQuotaExceededError, "misconfigured"),
    (exceptions.ModelContextWindowExceededError, "unsuitable"),
    (exceptions.ModelRateLimitError, "rate_limited"),
    (exceptions.ModelUnavailableError, "transient"),
)
"""By the client library's category: it reads errors that have no HTTP status."""
CLIENT_ERRORS = range(400, 500)


def kind_of(error: BaseException, *, streaming: bool) -> Kind:
    """Classify a failure: by the provider's code, then its category, its message, and its HTTP status.

    Any exception of a client library is the candidate's failure. While a stream is read, an exception may also be the
    reader's: then only the client library's own kinds count.
    """
    ours = isinstance(error, (LLMError, AssertionError)) and not isinstance(error, ConfigError)
    if ours or not isinstance(error, PROVIDER_ERRORS if streaming else Exception):
        return "other"
    if _is_too_large(error):
        return "unsuitable"
    if isinstance(error, ConfigError):
        return "misconfigured"
    if not isinstance(error, exceptions.ModelAPIError):
        return "transient"
    for code in _codes(error):
        if code in CODES:
            return CODES[code]
    return _kind_without_code(error)


def _kind_without_code(error: exceptions.ModelAPIError) -> Kind:
    for category, kind in CATEGORIES:
        if isinstance(error, category):
            return kind
    status = error.status_code if isinstance(error, exceptions.ModelHTTPError) else 0
    if status in CLIENT_ERRORS:
        message = str(error).lower()
        for phrase, kind in MESSAGES.items():
            if phrase in message:
                return kind
    if status in STATUSES:
        return STATUSES[status]
    return (
        "rejected"
        if status in CLIENT_ERRORS or isinstance(error, exceptions.ModelRequestRejectedError)
        else "transient"
    )


def may_be_charged(error: BaseException, *, streaming: bool, charge_server_errors: bool) -> bool:
    """Whether the provider may charge for the request: not if it refused it, or was never reached.

    A 500 may come after the answer was generated. No provider documents that it is free, and one documents that it may
    not be (see `provider_errors`), so `charge_server_errors` decides.
    """
    if streaming:
        return True
    if isinstance(error, exceptions.ModelHTTPError):
        if error.in_stream or error.status_code in MAY_BE_CHARGED or not CHARGED_CODES.isdisjoint(_codes(error)):
            return True
        return error.status_code == SERVER_ERROR and charge_server_errors
    if isinstance(error, (ConfigError, DeadlineExceededError)):
        return False
    return not (isinstance(error, exceptions.ModelConnectionError) and error.phase in ("pool", "connect"))


def refusal_in(response: ModelResponse) -> str | None:
    """Return the text with which the model refused to answer; None if it did not."""
    if response.finish_reason != "content_filter":
        return None
    return str((response.provider_details or {}).get("refusal") or "") or None


def is_filtered(response: ModelResponse) -> bool:
    """Whether the provider's content filter took the place of an answer."""
    return response.finish_reason == "content_filter" and not response.parts and refusal_in(response) is None


def _codes(error: exceptions.ModelAPIError) -> Iterator[str]:
    """Yield the codes and types of an error, in lower case, those of its body and inner error included."""
    yield str(error.provider_error_code).lower()
    yield str(error.provider_error_type).lower()
    body = error.body
    while isinstance(body, dict):
        yield from (str(body[name]).lower() for name in ("code", "type", "status") if name in body)
        body = body.get("error") or body.get("innererror")


def _is_too_large(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ResponseTooLargeError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
