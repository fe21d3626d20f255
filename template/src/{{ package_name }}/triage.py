"""The example's domain: what a model is asked to say about a support ticket. Replace it with yours."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Triage(BaseModel):
    """Where a ticket belongs, and how soon someone has to look at it."""

    model_config = ConfigDict(frozen=True)

    category: Literal["billing", "bug", "question", "other"]
    urgency: Annotated[int, Field(ge=1, le=5, description="1 can wait, 5 wakes someone up")]
    summary: Annotated[str, Field(min_length=1, max_length=200)]
    confidence: Annotated[float, Field(ge=0, le=1, description="the model's own estimate")]
