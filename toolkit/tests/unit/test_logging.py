"""Every record, whoever logs it, comes out in one form and with the same fields."""

import asyncio
import io
import json
import logging
import re
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
import structlog

from ai_base.logging import configure_logging, correlation

pytestmark = pytest.mark.usefixtures("own_logging")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_both_origins_carry_the_same_fields() -> None:
    stream = io.StringIO()
    configure_logging("INFO", "auto", stream)

    with correlation("c-1"):
        structlog.get_logger("ours").info("event", n=1)
        logging.getLogger("theirs.child").warning("went %s", "wrong", extra={"n": 2})

    ours, theirs = records(stream)
    assert ours.pop("timestamp").endswith("Z")
    assert theirs.pop("timestamp").endswith("Z")
    assert ours == {"event": "event", "n": 1, "level": "info", "logger": "ours", "correlation_id": "c-1"}
    assert theirs == {
        "event": "went wrong",
        "n": 2,
        "level": "warning",
        "logger": "theirs.child",
        "correlation_id": "c-1",
    }


def test_a_library_with_handlers_of_its_own_is_included() -> None:
    library, own = logging.getLogger("library"), io.StringIO()
    library.addHandler(logging.StreamHandler(own))
    library.propagate = False
    stream = io.StringIO()

    configure_logging("INFO", "json", stream)
    library.info("hello")

    assert [record["event"] for record in records(stream)] == ["hello"]
    assert own.getvalue() == ""


def test_the_level_holds_for_both_origins() -> None:
    stream = io.StringIO()
    configure_logging("WARNING", "json", stream)
    logging.getLogger("theirs").setLevel(logging.DEBUG)

    structlog.get_logger("ours").info("quiet")
    logging.getLogger("theirs").info("quiet")

    assert stream.getvalue() == ""


def test_what_a_library_adds_does_not_replace_what_the_record_says() -> None:
    stream = io.StringIO()
    configure_logging("INFO", "json", stream)

    logging.getLogger("theirs").info("hello", extra={"level": "critical", "logger": "ours", "n": 1})

    record = records(stream)[0]
    assert (record["level"], record["logger"], record["n"]) == ("info", "theirs", 1)


def test_a_path_is_logged_as_text() -> None:
    stream = io.StringIO()
    configure_logging("INFO", "json", stream)

    structlog.get_logger("ours").info("event", path=Path("x"))

    assert records(stream)[0]["path"] == "x"


@pytest.mark.parametrize("value", [float("nan"), {(1, 2): 3}])
def test_a_record_with_an_unusual_value_is_not_lost(value: object) -> None:
    stream = io.StringIO()
    configure_logging("INFO", "json", stream)

    structlog.get_logger("ours").info("odd", value=value)

    assert (records(stream)[0]["event"], records(stream)[0]["value"]) == ("odd", repr(value))


def test_arguments_that_do_not_fit_raise_no_error() -> None:
    stream = io.StringIO()
    configure_logging("INFO", "json", stream)

    structlog.get_logger("ours").info("done %d", "x")

    assert records(stream)[0]["event"] == "done %d"


def test_an_uncaught_exception_is_logged() -> None:
    stream = io.StringIO()
    configure_logging("INFO", "json", stream)

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        fail()
    sys.excepthook(caught.type, caught.value, caught.tb)
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()

    assert [record["event"] for record in records(stream)] == ["uncaught exception"] * 2
    assert all("ZeroDivisionError" in record["exception"] for record in records(stream))


def test_warnings_are_logged() -> None:
    stream = io.StringIO()

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configure_logging("INFO", "json", stream)
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    assert "DeprecationWarning: old" in records(stream)[0]["event"]


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_a_traceback_shows_no_local_variable(stream: io.StringIO) -> None:
    configure_logging("INFO", "auto", stream)
    password = "hush"  # noqa: S105

    try:
        len(password) / 0
    except ZeroDivisionError:
        structlog.get_logger("ours").exception("failed")

    assert "ZeroDivisionError" in stream.getvalue()
    assert "hush" not in stream.getvalue()


def test_a_terminal_gets_readable_text() -> None:
    stream = Terminal()
    configure_logging("INFO", "auto", stream)

    structlog.get_logger("ours").info("event", n=1)

    assert "event" in stream.getvalue()
    assert "\x1b[" in stream.getvalue()
    with pytest.raises(json.JSONDecodeError):
        records(stream)


def test_text_can_be_asked_for_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    configure_logging("INFO", "console", stream)

    structlog.get_logger("ours").info("event", path=Path("x"), stack_info=True)

    assert "event" in stream.getvalue()
    assert "Stack (most recent call last)" in stream.getvalue()
    assert "\x1b[" not in stream.getvalue()


def test_tasks_keep_their_own_correlation_ids() -> None:
    stream = io.StringIO()
    configure_logging("INFO", "json", stream)

    async def task(name: str) -> None:
        with correlation(name):
            await asyncio.sleep(0)
            logging.getLogger("theirs").info(name)

    async def both() -> None:
        await asyncio.gather(task("one"), task("two"))

    asyncio.run(both())

    assert [(record["event"], record["correlation_id"]) for record in records(stream)] == [("one",) * 2, ("two",) * 2]


def test_a_correlation_id_is_made_up_and_taken_back() -> None:
    with correlation() as first, correlation() as second:
        assert first != second
        assert structlog.contextvars.get_contextvars() == {"correlation_id": second}

    assert structlog.contextvars.get_contextvars() == {}


def test_on_a_terminal_no_text_can_change_it() -> None:
    stream = Terminal()
    configure_logging("INFO", "console", stream)
    hostile = "\x1b[2J\x1b]0;owned\x07\u202e\x9b31m"

    structlog.get_logger("ours").warning(hostile, model=hostile, exc_info=ValueError(hostile))
    logging.getLogger("theirs").warning("%s", hostile, exc_info=ValueError(hostile))

    shown = re.sub(r"\x1b\[\d*m", "", stream.getvalue())  # our own colours
    assert shown.count("]0;owned") == 5
    assert set(shown) & set("\x1b\x07\u202e\x9b") == set()
