"""How many tokens a request can have at most, before it is sent."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, is_multi_modal_content
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_core import PydanticSerializationError, from_json, to_json

from ai_base.llm.errors import InvalidInputError, UnpricedModelError
from ai_base.text.scrub import scrub

type Messages = list[ModelMessage]
type Settings = ModelSettings | None
type Params = ModelRequestParameters
type Request = tuple[Messages, Settings, Params]
"""The arguments of a model of the client library."""

KNOWN_SCHEMAS = 256
"""Sizes that are cached for each candidate."""

COMMON_SETTINGS = frozenset(
    {
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "stop_sequences",
        "parallel_tool_calls",
        "tool_choice",
        "thinking",
        "cache",
        "framing_announcement",
        "timeout",
        "request_timeout",
        "first_event_timeout",
        "max_retries",
    }
)
"""Settings of the client library that cost nothing beyond the text and the output limit."""
PROVIDER_SETTINGS = frozenset(
    {
        "cache_instructions",
        "cache_messages",
        "cache_tool_definitions",
        "effort",
        "labels",
        "logprobs",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "reasoning_format",
        "reasoning_summary",
        "safety_settings",
        "send_reasoning_ids",
        "store",
        "text_verbosity",
        "thinking",
        "thinking_config",
        "top_logprobs",
        "truncation",
        "user",
    }
)
"""The same for settings of providers, without the provider's name in front."""


class SchemaSizes:
    """Sizes of the schemas of tools and output, as a model sends them. Cached: preparing them takes 0.5 ms."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._known: dict[bytes, int] = {}

    def of(self, settings: Settings, params: Params) -> int:
        """Return the size in bytes."""
        if not (params.function_tools or params.output_tools or params.output_object):
            return 0
        key = to_json((params, settings), serialize_unknown=True)
        if key not in self._known:
            if len(self._known) >= KNOWN_SCHEMAS:
                self._known.clear()
            self._known[key] = len(to_json(self.model.prepare_request(settings, params)[1], serialize_unknown=True))
        return self._known[key]


def most_input_tokens(sizes: SchemaSizes, request: Request, context_window: int | None) -> int:
    """Bound the input: no tokenizer makes more tokens than a text has bytes, and JSON only adds some.

    Pictures and files have no such bound; they may fill the context window (in tokens).

    Raises:
        UnpricedModelError: There is no upper bound.
        InvalidInputError: A text cannot be encoded.
    """
    messages, settings, params = request
    model = sizes.model
    if params.native_tools:
        raise UnpricedModelError(model.model_id, "its cost has no upper bound with the provider's own tools")
    if unknown := sorted(name for name in settings or {} if not _adds_no_cost(name)):
        reason = f"its cost has no upper bound with the settings {', '.join(unknown)}: they may not be free"
        raise UnpricedModelError(model.model_id, reason)
    if any(_holds_media(part) for message in messages for part in message.parts):
        if not context_window:
            raise UnpricedModelError(model.model_id, "pictures and files need `context_window` in config/llm.toml")
        return context_window
    return size_of(messages, params) + sizes.of(settings, params)


def size_of(messages: Messages, params: Params) -> int:
    """Return the bytes of a conversation as JSON, instructions included.

    Raises:
        InvalidInputError: A text cannot be encoded.
    """
    try:
        instructions = sum(len(part.content.encode()) for part in params.instruction_parts or ())
        return len(ModelMessagesTypeAdapter.dump_json(messages)) + instructions
    except (UnicodeEncodeError, PydanticSerializationError) as error:
        raise InvalidInputError("the input cannot be encoded as UTF-8: it holds half of a surrogate pair") from error


def text_parts(messages: Messages) -> Iterator[Any]:
    """Yield the content of every part, without the times at which the messages were made."""
    for message in messages:
        for part in message.parts:
            yield getattr(part, "content", None) or getattr(part, "args", None)


def without_personal_data(request: Request) -> Request:
    """Scrub everything that is sent: messages, instructions, and the schemas of tools and output."""
    messages, settings, params = request
    plain = ModelMessagesTypeAdapter.validate_json(scrub(ModelMessagesTypeAdapter.dump_json(messages).decode()))
    instructions = [replace(part, content=scrub(part.content)) for part in params.instruction_parts or ()]
    output = params.output_object
    if output is not None:
        schema = _scrub_json(output.json_schema)
        output = replace(output, json_schema=schema, description=_scrub_text(output.description))
    params = replace(
        params,
        function_tools=_scrub_tools(params.function_tools),
        output_tools=_scrub_tools(params.output_tools),
        output_object=output,
        instruction_parts=instructions or None,
    )
    return plain, settings, params


def _adds_no_cost(setting: str) -> bool:
    return setting in COMMON_SETTINGS or setting.partition("_")[2] in PROVIDER_SETTINGS


def _holds_media(part: object) -> bool:
    content = getattr(part, "content", None)
    if content is None or isinstance(content, str):
        return False
    items = content if isinstance(content, Sequence) else [content]
    return any(is_multi_modal_content(item) for item in items)


def _scrub_tools(tools: Sequence[Any]) -> list[Any]:
    return [
        replace(
            tool,
            description=_scrub_text(tool.description),
            parameters_json_schema=_scrub_json(tool.parameters_json_schema),
        )
        for tool in tools
    ]


def _scrub_text(text: str | None) -> str | None:
    return scrub(text) if text else text


def _scrub_json(value: dict[str, Any]) -> dict[str, Any]:
    scrubbed: dict[str, Any] = from_json(scrub(to_json(value).decode()))
    return scrubbed
