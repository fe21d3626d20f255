"""What many tests of the gateway ask, and what the doubles reply."""

from typing import Any, cast

from pydantic import BaseModel, Field
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.usage import RequestUsage

from ai_base.testing.doubles import ScriptedModel, Step


class Verdict(BaseModel):
    category: str
    confidence: float = Field(ge=0, le=1)


SURE = {"category": "bug", "confidence": 0.9}


UNSURE = {"category": "bug", "confidence": 0.2}


ASK = ("plain", {"question": "Why?"})


def usage(tokens: int) -> RequestUsage:
    return RequestUsage(input_tokens=tokens, output_tokens=tokens)


def answered(text: str, input_tokens: int = 100, output_tokens: int = 100) -> Step:
    return Step(text, usage=RequestUsage(input_tokens=input_tokens, output_tokens=output_tokens))


class ChangedModel(WrapperModel):
    """Changes each response, or raises while it does, as a client library may do."""

    def __init__(self, change: Any) -> None:
        super().__init__(ScriptedModel("x"))
        self.change = change

    async def request(self, *given: Any) -> ModelResponse:
        return cast("ModelResponse", self.change(await super().request(*given)))
