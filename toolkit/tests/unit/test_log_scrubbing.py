"""Nothing personal passes into the log, whichever logger, field or traceback brings it."""

import io
import json
import logging
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog

from ai_base.logging import configure_logging

pytestmark = pytest.mark.usefixtures("own_logging")

MAIL = "ada@example.com"
CARD = 4111111111111111


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def logged(form: Literal["console", "json"], event: str, *args: object, **fields: Any) -> str:
    """Log once through each origin, a child logger included, and return all that comes out."""
    stream = Terminal() if form == "console" else io.StringIO()
    configure_logging("INFO", form, stream)
    structlog.get_logger("ours").info(event, *args, **fields)
    logging.getLogger("theirs.child").info(event, *args, extra=fields)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize(
    "fields",
    [
        {"user": MAIL},
        {"users": [{"mail": MAIL}, (MAIL,)]},
        {"odd": {(1, MAIL): 2}},
        {"path": Path(MAIL)},
        {"error": ValueError(MAIL)},
        {MAIL: 1},
        {"nested": {MAIL: {"deeper": 1}}},
    ],
)
def test_no_field_holds_an_address(form: Literal["console", "json"], fields: dict[str, Any]) -> None:
    output = logged(form, "asked", **fields)

    assert output.count("asked") == 2
    assert MAIL not in output


@pytest.mark.parametrize("form", ["console", "json"])
def test_the_event_and_its_arguments_hold_no_address(form: Literal["console", "json"]) -> None:
    output = logged(form, f"{MAIL} asked %s", MAIL)

    assert output.count("asked") == 2
    assert MAIL not in output


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize("text", [f"card:\n{CARD}", f"\x1b[35m{CARD}", f"card\u00a0{CARD}"])
def test_no_escape_hides_a_number(form: Literal["console", "json"], text: str) -> None:
    assert str(CARD) not in logged(form, "paid", text=text)


def test_a_number_that_is_a_field_is_hidden_and_the_record_stays_json() -> None:
    ours, theirs = (json.loads(line) for line in logged("json", "paid", card=CARD, amount=12).splitlines())

    assert (ours["amount"], theirs["amount"]) == (12, 12)
    assert str(CARD) not in f"{ours} {theirs}"


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_traceback_holds_an_address(form: Literal["console", "json"]) -> None:
    stream = io.StringIO()
    configure_logging("INFO", form, stream)

    for logger in (structlog.get_logger("ours"), logging.getLogger("theirs.child")):
        try:
            int(MAIL)
        except ValueError:
            logger.exception("failed")

    assert stream.getvalue().count("ValueError: invalid literal") == 2
    assert MAIL not in stream.getvalue()


def test_a_recursive_value_is_logged() -> None:
    loop: list[object] = [MAIL]
    loop.append(loop)

    output = logged("json", "asked", loop=loop)

    assert output.count("asked") == 2
    assert MAIL not in output


def test_the_time_stays_as_it_is() -> None:
    record = json.loads(logged("json", "asked").splitlines()[0])

    assert record["timestamp"].endswith("Z")
    assert len(record["timestamp"]) == len("2026-11-23T14:05:06.123456Z")
