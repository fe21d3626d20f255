"""The commands `eval` and `drift`."""

from pathlib import Path
from typing import Annotated

import typer

from ai_base.cli import run_to_exit_code


def create_commands(module: str) -> typer.Typer:
    """Make the commands for the datasets in `DATASETS` of a module, such as `my_app.evals`; it is imported late."""
    app = typer.Typer()

    @app.command("eval")
    def evaluate(  # noqa: PLR0913, PLR0917 - the options
        only: Annotated[str, typer.Option(help="Only this dataset.")] = "",
        live: Annotated[bool, typer.Option(help="Ask a real model; the recorded replies stay as they are.")] = False,
        model: Annotated[str, typer.Option(help="With --live: the candidate to ask.")] = "",
        record: Annotated[bool, typer.Option(help="Ask the model what is not recorded, and record it.")] = False,
        accept: Annotated[
            bool, typer.Option(help="Make the outcome the baseline. With --live: only its noise.")
        ] = False,
        repeat: Annotated[int, typer.Option(min=1, help="With --live: run this many times; measure the noise.")] = 1,
        html: Annotated[Path | None, typer.Option(help="Also write an HTML page to this file.")] = None,
        since: Annotated[str, typer.Option("--from", help="Compare with the prompts of a git revision.")] = "",
    ) -> None:
        """Score the code on its cases, and compare with the baseline."""
        if (model or repeat > 1) and not live:
            hint = "--model" if model else "--repeat"
            raise typer.BadParameter("it asks real models; add LIVE=1 (--live)", param_hint=hint)
        if record and (live or since):
            raise typer.BadParameter("it goes with neither LIVE=1 nor FROM=...", param_hint="--record")
        if accept and live and repeat == 1:
            raise typer.BadParameter("it takes several runs to measure the noise; add REPEAT=3", param_hint="--accept")
        from ai_base.evals import actions  # noqa: PLC0415 - the client library takes a second to import

        options = actions.Options(live, model, record, accept, repeat, html, since)
        kept = "Stopped. What was answered is kept; the same command goes on from there."
        run_to_exit_code(actions.evaluate(actions.datasets(module, only), options), when_interrupted=kept)

    @app.command()
    def drift(limit: Annotated[int, typer.Option(min=1, help="How many cases of each dataset.")] = 20) -> None:
        """Ask a few cases live, and tell what moved since the baseline."""
        from ai_base.evals import actions  # noqa: PLC0415

        lost = "Stopped. Nothing is kept; the same command asks again."
        run_to_exit_code(actions.drift(actions.datasets(module, ""), limit), when_interrupted=lost)

    return app
