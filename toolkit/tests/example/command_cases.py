"""What the tests of the commands share."""

from collections.abc import Callable

from typer.testing import Result

BILL = "I was charged twice, my invoice is wrong"
LEDGER = "sqlite:///ledger.db"
ESCAPES = "\x1b[2J\x1b]0;owned\x07\u202e\x9b31m\U000e0041"
"""Clears a terminal, sets its title, turns the direction, colours, hides."""

VISIBLE_REST = "[2J]0;owned31m"
"""What is left of `ESCAPES` when all that acts is gone."""

type Run = Callable[..., Result]
