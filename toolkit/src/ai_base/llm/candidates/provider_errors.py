"""What the errors of providers mean, by their code or type, by their message, and by their HTTP status.

The sources are the providers' own documentation (November 2026):
OpenAI     https://platform.openai.com/docs/guides/error-codes, and the codes that its API sends
Azure      https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter
Anthropic  https://docs.anthropic.com/en/api/errors
Google     https://ai.google.dev/gemini-api/docs/troubleshooting
Groq       https://console.groq.com/docs/errors, https://console.groq.com/docs/deprecations
Cloudflare https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors
"""

from collections.abc import Mapping
from typing import Literal

from ai_base.llm.errors import FailureKind

type Kind = FailureKind | Literal["rejected", "other"]
"""As FailureKind; rejected: the request is broken, for any provider; other: no failure of the provider."""

CODES: Mapping[str, Kind] = {
    # The key, the account or the model needs attention.
    "invalid_api_key": "misconfigured",  # OpenAI 401
    "invalid_organization": "misconfigured",  # OpenAI 401
    "account_deactivated": "misconfigured",  # OpenAI 401
    "authentication_error": "misconfigured",  # Anthropic 401
    "unauthenticated": "misconfigured",  # Google 401
    "api_key_invalid": "misconfigured",  # Google 400, as the reason
    "permission_error": "misconfigured",  # Anthropic 403
    "permission_denied": "misconfigured",  # Google 403
    "insufficient_quota": "misconfigured",  # OpenAI 429: the credit is used up
    "billing_hard_limit_reached": "misconfigured",  # OpenAI 429
    "billing_not_active": "misconfigured",  # OpenAI 429
    "billing_error": "misconfigured",  # Anthropic 402
    "model_not_found": "misconfigured",  # OpenAI 404
    "model_decommissioned": "misconfigured",  # Groq 400
    "deploymentnotfound": "misconfigured",  # Azure 404
    "not_found_error": "misconfigured",  # Anthropic 404
    # This candidate cannot serve this request.
    "context_length_exceeded": "unsuitable",  # OpenAI 400
    "string_above_max_length": "unsuitable",  # OpenAI 400
    "request_too_large": "unsuitable",  # Anthropic 413
    "content_filter": "unsuitable",  # Azure 400
    "responsibleaipolicyviolation": "unsuitable",  # Azure 400, as the inner code
    "content_policy_violation": "unsuitable",  # OpenAI 400
    "unsupported_parameter": "unsuitable",  # OpenAI 400, such as temperature
    "unsupported_value": "unsuitable",  # OpenAI 400
    "unknown_parameter": "unsuitable",  # OpenAI 400
    "capacity_exceeded": "unsuitable",  # Groq 498
    # It is too busy, or broken.
    "rate_limit_exceeded": "rate_limited",  # OpenAI, Groq 429
    "rate_limit_error": "rate_limited",  # Anthropic 429
    "resource_exhausted": "rate_limited",  # Google 429
    "overloaded_error": "transient",  # Anthropic 529
    "api_error": "transient",  # Anthropic 500
    "server_error": "transient",  # OpenAI 500
    "unavailable": "transient",  # Google 503
    # The request is broken.
    "invalid_function_parameters": "rejected",  # OpenAI 400: a bad tool schema
    "invalid_json_schema": "rejected",  # OpenAI 400
}
"""By the code or the type in the body, in lower case."""

MESSAGES: Mapping[str, Kind] = {
    "invalid schema": "rejected",  # OpenAI 400: of a tool, or of the output
    "specified api usage limits": "misconfigured",  # Anthropic 400
    "credit balance is too low": "misconfigured",  # Anthropic 400
    "api key not valid": "misconfigured",  # Google 400
    "has been deprecated": "misconfigured",  # OpenAI 404
    "prompt is too long": "unsuitable",  # Anthropic 400
    "context length": "unsuitable",  # vLLM, OpenRouter 400
    "context window": "unsuitable",  # OpenAI, without a code
    "content management policy": "unsuitable",  # Azure 400
    "not supported": "unsuitable",  # a parameter that this model does not take
    "does not support": "unsuitable",
    "is deprecated for this model": "unsuitable",  # Anthropic 400, such as temperature
}
"""By a part of the message, in lower case, where the code is general (`invalid_request_error`). The first counts."""

STATUSES: Mapping[int, Kind] = {
    401: "misconfigured",
    402: "misconfigured",
    403: "unsuitable",  # a key without rights says so by its code; else it is moderation, or a country
    404: "unsuitable",  # a model that does not exist says so by its code
    408: "transient",
    409: "transient",
    410: "unsuitable",
    413: "unsuitable",
    425: "transient",
    429: "rate_limited",
    451: "unsuitable",
    498: "unsuitable",  # Groq: the capacity of the flex tier is used up
    499: "transient",  # a proxy gave up
}
"""By the HTTP status, where code and message say nothing. Any other 4xx is `rejected`, anything else `transient`."""

MAY_BE_CHARGED = frozenset({408, 499, 502, 504, 520, 524})
"""A machine on the way gave up waiting: the provider may have answered, and charged."""

SERVER_ERROR = 500
"""Azure: "If the service performs processing, you may be charged even if the status code is not successful (not 200)"
(how-to/manage-costs). The others say nothing about it."""

CHARGED_CODES = frozenset({"content_filter", "responsibleaipolicyviolation"})
"""Azure charges for a prompt that its filter blocked: "there will be a charge for this request as the prompt was
evaluated by the service" (concepts/content-filter, above)."""
