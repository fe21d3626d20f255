"""How many tokens a request can have at most, before it is sent."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, is_multi_modal_content
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_core import from_json, to_json

from ai_base.llm.errors import UnpricedModelError
from ai_base.text.scrub import scrub

type Messages = list[ModelMessage]
type Settings = ModelSettings | None
type Params = ModelRequestParameters
type Request = tuple[Messages, Settings, Params]
"""What the client library's models take."""

UNBOUNDED = ("extra_body", "service_tier", "previous_response_id", "conversation", "cached_content", "speed")
"""Settings with which a call can cost more than its text and its output limit tell."""


def most_input_tokens(model: Model, request: Request, context_window: int | None) -> int:
    """Bound the input: no tokenizer makes more tokens than a text has bytes, and JSON only adds some.

    Pictures and files have no such bound; they may fill the context window (in tokens).

    Raises:
        UnpricedModelError: There is no bound.
    """
    messages, settings, params = request
    if params.native_tools or any(word in key for key in settings or {} for word in UNBOUNDED):
        raise UnpricedModelError(model.model_id, f"no bound on its cost with native tools, {', '.join(UNBOUNDED)}")
    if any(_holds_media(part) for message in messages for part in message.parts):
        if not context_window:
            raise UnpricedModelError(model.model_id, "pictures and files need `context_window` in config/llm.toml")
        return context_window
    size = size_of(messages, params)
    if params.function_tools or params.output_tools or params.output_object:
        size += len(to_json(model.prepare_request(settings, params)[1], serialize_unknown=True))
    return size


def size_of(messages: Messages, params: Params) -> int:
    """Return the bytes of a conversation as JSON, instructions included."""
    instructions = sum(len(part.content.encode()) for part in params.instruction_parts or ())
    return len(ModelMessagesTypeAdapter.dump_json(messages)) + instructions


def _holds_media(part: object) -> bool:
    content = getattr(part, "content", None)
    items = content if isinstance(content, Sequence) and not isinstance(content, str) else [content]
    return any(is_multi_modal_content(item) for item in items)


def without_personal_data(request: Request) -> Request:
    """Scrub whatever is going to be sent: messages, instructions, and what tools say of themselves."""
    messages, settings, params = request
    plain = ModelMessagesTypeAdapter.validate_json(scrub(ModelMessagesTypeAdapter.dump_json(messages).decode()))
    tools = [
        replace(
            tool,
            description=scrub(tool.description or ""),
            parameters_json_schema=from_json(scrub(to_json(tool.parameters_json_schema).decode())),
        )
        for tool in params.function_tools
    ]
    instructions = [replace(part, content=scrub(part.content)) for part in params.instruction_parts or ()]
    return plain, settings, replace(params, function_tools=tools, instruction_parts=instructions or None)
