"""Commands of every application with AI calls, and `report`, with which an application's own command ends."""

import typer

from ai_base.llm.commands.escalations import app as escalations
from ai_base.llm.commands.interactions import interactions, replay
from ai_base.llm.commands.report import report
from ai_base.llm.commands.retention import app as ledger
from ai_base.llm.commands.spend import spend

__all__ = ["app", "report"]

app = typer.Typer()
app.command()(spend)
app.command()(interactions)
app.command()(replay)
app.add_typer(escalations, name="escalations")
app.add_typer(ledger, name="ledger")
