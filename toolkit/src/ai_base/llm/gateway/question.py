"""A question: a rendered prompt, attachments, and the type of the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import structlog
from pydantic_ai.messages import ModelMessage, ModelRequest, MultiModalContent, SystemPromptPart, UserPromptPart
from pydantic_ai.settings import ModelSettings
from pydantic_core import to_json

from ai_base.llm.configuration.config import Input
from ai_base.llm.configuration.prompts import Prompt
from ai_base.llm.errors import InputTooLargeError
from ai_base.llm.ledger.records import storable

log = structlog.get_logger(__name__)

CUT = "\n[... cut: the rest was too long]"


@dataclass(frozen=True)
class Question:
    """What is asked, in the form in which it is sent."""

    prompt: Prompt
    text: str
    """The rendered prompt."""
    attachments: Sequence[MultiModalContent]
    output_type: Any
    chain: str

    @property
    def messages(self) -> list[ModelMessage]:
        """The conversation: instructions, if the prompt has any, and the question."""
        system = [SystemPromptPart(self.prompt.settings.system)] if self.prompt.settings.system else []
        content = [self.text, *self.attachments] if self.attachments else self.text
        return [ModelRequest(parts=[*system, UserPromptPart(content)])]

    @property
    def settings(self) -> ModelSettings:
        """What the prompt file sets for the call."""
        return model_settings(self.prompt)

    @property
    def facts(self) -> str:
        """Everything that is asked, as one text that is equal for equal questions."""
        if not self.attachments:
            return self.text
        return self.text + to_json(list(self.attachments), bytes_mode="base64").decode()

    @property
    def record(self) -> str:
        """What the ledger stores of it: the text, and the kinds of the attachments."""
        return "\n".join([self.text, *(f"[attachment: {each.kind}, {each.media_type}]" for each in self.attachments)])


def model_settings(prompt: Prompt) -> ModelSettings:
    """Return what a prompt file sets for a request."""
    wanted = {"temperature": prompt.settings.temperature, "max_tokens": prompt.settings.max_output_tokens}
    return cast("ModelSettings", {key: value for key, value in wanted.items() if value is not None})


def render(prompt: Prompt, variables: Mapping[str, object], limits: Input) -> str:
    """Render a prompt. If the text is too long and `too_long` is `cut`, shorten the longest variable.

    A lone surrogate, which no provider accepts, becomes a replacement character.

    Raises:
        PromptVariableError: A variable is missing or unexpected.
        InputTooLargeError: The text is too long and may not be cut, or cannot be cut enough.
    """
    text, limit = _encodable(prompt.render(variables)), limits.max_bytes
    size = len(text.encode())
    if size <= limit:
        return text
    if limits.too_long == "cut":
        text = _encodable(prompt.render(_shortened(variables, size - limit)))
    if len(text.encode()) > limit:
        raise InputTooLargeError(limit, size)
    return text


def _encodable(text: str) -> str:
    return str(storable(text))


def _shortened(variables: Mapping[str, object], excess: int) -> Mapping[str, object]:
    """Shorten the longest text among the variables by `excess` bytes, if it is that long."""
    texts = {name: _encodable(value).encode() for name, value in variables.items() if isinstance(value, str)}
    longest = max(texts, key=lambda name: len(texts[name]), default="")
    keep = len(texts.get(longest, b"")) - excess - len(CUT)
    if keep <= 0:
        return variables
    log.warning("llm input cut", variable=longest, bytes_too_many=excess)
    return {**variables, longest: texts[longest][:keep].decode(errors="ignore") + CUT}
