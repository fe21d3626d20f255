"""A small application on the toolkit, as a project has one: for tests of the command line and of the offline model."""

import asyncio
from typing import Annotated, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field

from ai_base import llm
from ai_base.cli import create_app, read_file
from ai_base.llm.commands import app as llm_commands
from ai_base.llm.commands import report
from ai_base.llm.settings import LLMSettings
from ai_base.settings import AppSettings


class Triage(BaseModel):
    """Where a ticket belongs, and how soon someone has to look at it."""

    model_config = ConfigDict(frozen=True)

    category: Literal["billing", "bug", "question", "other"]
    urgency: Annotated[int, Field(ge=1, le=5)]
    summary: Annotated[str, Field(min_length=1, max_length=200)]
    confidence: Annotated[float, Field(ge=0, le=1)]


class Settings(AppSettings, LLMSettings):
    """Settings of the example."""


UNKNOWN = Triage(category="other", urgency=3, summary="Not triaged: no model answered.", confidence=0)

app = create_app("ai-base", Settings, "Triage support tickets.")
app.add_typer(llm_commands)


@app.command()
def triage(
    file: Annotated[typer.FileText, typer.Argument(encoding="utf-8", help="The ticket; - reads standard input.")],
    fallback: Annotated[bool, typer.Option(help="Give a simple answer when no model can.")] = False,
    human: Annotated[bool, typer.Option(help="Let the question wait for a person when no model can answer.")] = False,
) -> None:
    """Triage a ticket."""
    ticket = read_file(file)

    async def ask() -> None:
        async with llm.Gateway.open() as gateway:
            answer = await gateway.ask(
                "triage",
                {"ticket": ticket},
                output_type=Triage,
                cost_center="support",
                fallback=(lambda: UNKNOWN) if fallback else None,
                human=human,
            )
        report(answer)

    asyncio.run(ask())


if __name__ == "__main__":
    app()
