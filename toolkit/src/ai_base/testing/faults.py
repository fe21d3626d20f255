"""Failures of providers on demand: each fault raises or answers exactly what the real client would."""

import asyncio
import math
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from pydantic_ai import RunContext, exceptions
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError, ModelTimeoutError
from pydantic_ai.messages import FinishReason, ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from ai_base.testing.doubles import Call, Playback, respond, structured
from ai_base.testing.loopback import ERRORS, SERVER_ERROR

EXHAUSTED_QUOTA = ("You exceeded your current quota", "insufficient_quota", "insufficient_quota")
CONTEXT_TOO_LONG = (
    "This model's maximum context length is 128000 tokens",
    "invalid_request_error",
    "context_length_exceeded",
)
FLAGGED = ("The input was flagged", "moderation", None)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The outcome of one call: an error (made from the model's name), an unusable answer, or a delay.

    For an error or an unusable answer, the wrapped model is not asked.
    """

    error: Callable[[str], Exception] | None = None
    text: str | None = None
    """Text of the answer; in a stream, the text before the error."""
    finish_reason: FinishReason | None = None
    refusal: str | None = None
    """What the model says in place of an answer."""
    seconds: float = 0.0


class FaultyModel(WrapperModel):
    """Wraps a model. Each call gets the next fault; a fault of None, and every call after the last one, passes through.

    With `forever`, the last fault repeats.
    """

    def __init__(self, wrapped: Model, *faults: Fault | None, forever: bool = False) -> None:
        super().__init__(wrapped)
        self.calls = 0
        """How often this model was called, failures included."""
        self._faults = faults
        self._forever = forever
        self._lock = threading.Lock()

    def _next(self) -> Fault | None:
        with self._lock:
            self.calls += 1
            if self.calls <= len(self._faults):
                return self._faults[self.calls - 1]
            return self._faults[-1] if self._forever else None

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Apply the next fault."""
        fault = self._next()
        if fault and fault.error:
            raise fault.error(self.model_name)
        response = await self._response(fault, messages, model_settings, model_request_parameters)
        await asyncio.sleep(fault.seconds if fault else 0)
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Apply the next fault. An error with a text breaks the stream off in the middle."""
        fault = self._next()
        if fault is None:
            asked = messages, model_settings, model_request_parameters, run_context
            async with self.wrapped.request_stream(*asked) as stream:
                yield stream
            return
        error = fault.error and fault.error(self.model_name)
        if error and fault.text is None:
            raise error
        response = await self._response(fault, messages, model_settings, model_request_parameters)
        call = Call(messages, *self.prepare_request(model_settings, model_request_parameters))
        yield Playback(response, call, fault.seconds, error)

    async def _response(
        self,
        fault: Fault | None,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        if fault is None or (fault.text is None and fault.refusal is None):
            return await self.wrapped.request(messages, model_settings, model_request_parameters)
        call = Call(messages, *self.prepare_request(model_settings, model_request_parameters))
        if fault.text is None:
            details = {"refusal": fault.refusal}
            refused = ModelResponse([], finish_reason="content_filter", provider_details=details)
            return respond(refused, call, self.model_name)
        response = structured(fault.text, call, self.model_name)
        response = replace(response, finish_reason=fault.finish_reason or response.finish_reason)
        return respond(response, call, self.model_name)


# ---- Transient: a retry may help ----


def rate_limited(retry_after: float = 2.0) -> Fault:
    """429: too many requests; a retry may succeed after `retry_after` seconds."""
    # Providers send whole seconds for everybody, and milliseconds for the clients that read them.
    headers = {"retry-after": str(math.ceil(retry_after)), "retry-after-ms": str(round(retry_after * 1000))}
    return _status(429, exceptions.ModelRateLimitError, headers)


def server_error() -> Fault:
    """500: an error inside the provider."""
    return _status(500, exceptions.ModelServerError)


def timed_out() -> Fault:
    """The provider did not answer in time; it may have done the work, and charge for it. Raised at once."""
    return Fault(error=lambda model: ModelTimeoutError(model, "Request timed out.", phase="read"))


def reset() -> Fault:
    """The connection broke off before the answer was read, in a stream: after its first words."""
    return Fault(text="The answer", error=lambda model: ModelConnectionError(model, "Connection error.", phase="read"))


def refused() -> Fault:
    """Nobody listens at the provider's address; nothing was sent."""
    return Fault(error=lambda model: ModelConnectionError(model, "Connection error.", phase="connect"))


def slow(seconds: float) -> Fault:
    """The wrapped model's answer, `seconds` later; a stream spreads its words over that time."""
    return Fault(seconds=seconds)


# ---- Permanent: somebody must fix it ----


def revoked_key() -> Fault:
    """401: the key is invalid, or was revoked."""
    return _status(401, exceptions.ModelAuthenticationError)


def exhausted_quota() -> Fault:
    """429, but no wait helps: the account's credit is used up."""
    return _status(429, exceptions.ModelQuotaExceededError, details=EXHAUSTED_QUOTA)


def retired_model() -> Fault:
    """404: the model no longer exists."""
    return _status(404, exceptions.ModelNotFoundError)


def bad_request() -> Fault:
    """400: the request itself is wrong; any provider would reject it."""
    return _status(400, exceptions.ModelRequestRejectedError)


def context_too_long() -> Fault:
    """400: the request is longer than this model's context window."""
    return _status(400, exceptions.ModelContextWindowExceededError, details=CONTEXT_TOO_LONG)


def flagged() -> Fault:
    """403: the provider's moderation does not let the request through."""
    return _status(403, exceptions.ModelAuthenticationError, details=FLAGGED)


# ---- Answered and charged, but unusable ----


def refusal(text: str = "I can't help with that.") -> Fault:
    """The model refuses to answer: there is no content, but a refusal text."""
    return Fault(refusal=text)


def invalid_json(text: str = '{"summary": "It crashes", "urgency": }') -> Fault:
    """Text that no parser accepts, in place of an object."""
    return Fault(text=text)


def wrong_schema(text: str = '{"unexpected": true}') -> Fault:
    """An object that does not fit the schema."""
    return Fault(text=text)


def truncated(text: str = '{"summary": "It cra') -> Fault:
    """The answer reached the output limit and is cut off."""
    return Fault(text=text, finish_reason="length")


def garbled() -> Fault:
    """200, but the body of the HTTP response is not JSON, as from a broken proxy."""
    message = "Failed to decode response as JSON: Expecting value: line 1 column 1 (char 0)"
    return Fault(error=lambda model: exceptions.ModelAPIError(model, message))


def _status(
    status: int,
    category: Any,  # noqa: ANN401 - its type is private
    headers: dict[str, str] | None = None,
    details: tuple[str, str, str | None] | None = None,
) -> Fault:
    message, kind, code = details or ERRORS.get(status, SERVER_ERROR)

    def error(model: str) -> Exception:
        return ModelHTTPError.for_category(
            category,
            status_code=status,
            model_name=model,
            body={"message": message, "type": kind, "param": None, "code": code},
            headers=headers or {},
            provider_error_code=code,
            provider_error_type=kind,
        )

    return Fault(error=error)
