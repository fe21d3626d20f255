"""What goes wrong while something is logged loses no record and shows no secret."""

import gc
import io
import json
import logging
import sys
import threading
from typing import Any, Literal

import pytest
import structlog

from ai_base.logging import configure_logging

pytestmark = pytest.mark.usefixtures("own_logging")

MAIL = "ada@example.com"


class Unwritable:
    """Its text cannot be had."""

    def __repr__(self) -> str:
        raise RuntimeError(MAIL)


class Broken(io.StringIO):
    """A stream that cannot be written to."""

    def write(self, _text: str) -> int:
        raise OSError("No space left on device")


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("arguments", [(MAIL,), (MAIL, "b"), (Unwritable(),)])
def test_arguments_that_do_not_fit_are_logged_and_scrubbed(
    arguments: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    stream = io.StringIO()
    configure_logging("INFO", "json", stream)

    logging.getLogger("theirs").warning("done %d", *arguments)

    record = records(stream)[0]
    assert (record["event"], record["level"], record["logger"]) == ("done %d", "warning", "theirs")
    assert record["formatting_error"].split(":")[0] in {"TypeError", "RuntimeError"}
    assert "test_log_failures.py" in record["where"]
    assert MAIL not in stream.getvalue()
    assert capsys.readouterr().err == ""


def test_a_handler_of_a_library_prints_no_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json", io.StringIO())
    library = logging.getLogger("library")
    handler = logging.StreamHandler(io.StringIO())
    library.addHandler(handler)

    library.warning("done %d", MAIL)

    library.removeHandler(handler)
    error = capsys.readouterr().err
    assert error.startswith("log record lost: TypeError: %d format")
    assert "test_log_failures.py" in error
    assert "[email]" in error
    assert MAIL not in error


def test_a_record_that_cannot_be_written_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json", Broken())

    logging.getLogger("theirs").warning("hello %s", MAIL)

    error = capsys.readouterr().err
    assert error.startswith("log record lost: OSError: No space left on device; WARNING theirs ")
    assert "hello" in error
    assert MAIL not in error


def test_an_error_that_python_ignores_is_logged_and_scrubbed(capsys: pytest.CaptureFixture[str]) -> None:
    class Leaky:
        def __repr__(self) -> str:
            return f"<Leaky {MAIL}>"

        def __del__(self) -> None:
            raise ValueError(MAIL)

    stream = io.StringIO()
    configure_logging("INFO", "json", stream)

    leaky = Leaky()
    del leaky
    gc.collect()

    record = records(stream)[0]
    assert record["level"] == "error"
    assert "ValueError: [email]" in record["exception"]
    assert "Leaky.__del__" in record["object"]
    assert MAIL not in stream.getvalue()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize("value", [Unwritable(), [Unwritable()], {"a": Unwritable()}], ids=type)
def test_a_field_without_a_text_does_not_lose_its_record(form: Literal["console", "json"], value: object) -> None:
    stream = io.StringIO()
    configure_logging("INFO", form, stream)

    structlog.get_logger("ours").info("asked", value=value, other=5)
    logging.getLogger("theirs").info("asked", extra={"value": value, "other": 5})

    output = stream.getvalue()
    assert output.count("asked") == 2
    assert output.count("without a text: RuntimeError") == 2
    if form == "json":
        assert [record["other"] for record in records(stream)] == [5, 5]


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), {(1, 2): 3}, Unwritable()], ids=type)
def test_the_values_beside_an_unusual_one_keep_their_types(odd: object) -> None:
    stream = io.StringIO()
    configure_logging("INFO", "json", stream)
    beside = {"number": 5, "flag": True, "none": None, "list": [1, {"a": 2.5}]}

    structlog.get_logger("ours").info("odd", odd=odd, nested=[odd, beside], **beside)

    record = records(stream)[0]
    assert isinstance(record["odd"], str)
    assert {name: record[name] for name in beside} == beside
    assert record["nested"] == [record["odd"], beside]


def test_ctrl_c_is_no_critical_error() -> None:
    stream = io.StringIO()
    configure_logging("INFO", "json", stream)

    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)

    assert [(record["level"], record["event"]) for record in records(stream)] == [("info", "interrupted")]
    assert "exception" not in records(stream)[0]


def test_the_end_of_a_thread_is_no_error() -> None:
    stream = io.StringIO()
    configure_logging("INFO", "json", stream)

    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()

    assert stream.getvalue() == ""


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_field_that_is_called_event_does_not_replace_the_message(form: Literal["console", "json"]) -> None:
    stream = io.StringIO()
    configure_logging("INFO", form, stream)

    logging.getLogger("theirs").info("hello", extra={"event": "click", "_record": 1, "n": 2})

    if form == "json":
        record = records(stream)[0]
        assert (record["event"], record["extra_event"], record["n"], record["logger"]) == (
            "hello",
            "click",
            2,
            "theirs",
        )
    else:
        assert "hello" in stream.getvalue()
        assert "extra_event=click" in stream.getvalue()
