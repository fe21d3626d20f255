"""One log for everything: structlog, the standard library and every third-party logger, in one form."""

import io
import json
import logging
import math
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor

from ai_base.text.invisible import remove_invisible
from ai_base.text.scrub import scrub


def configure_logging(
    level: str = "INFO", form: Literal["auto", "console", "json"] = "auto", stream: TextIO | None = None
) -> None:
    """Send every log record of the process to `stream` (standard error), as text or as JSON lines.

    `auto` is text where the stream is a terminal, JSON elsewhere. Uncaught exceptions are logged, also those that
    Python ignores, such as in `__del__`. Call it after the imports: it cannot remove a handler that a library adds
    later. A second call replaces the first.
    """
    stream = stream or sys.stderr
    as_json = form == "json" or (form == "auto" and not stream.isatty())
    # Records of structlog and of the standard library pass these, so that both carry the same fields.
    shared: list[Processor] = [
        _add_extra,  # first, so that `extra` cannot replace the fields below
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    final: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        final += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_to_json)]
    else:
        # Plain tracebacks: the pretty ones print local variables, and one of them may be a secret.
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=_write_traceback)
        final += [_replace_unwritable, _remove_escape_codes, renderer]

    handler = logging.StreamHandler(stream)
    handler.setLevel(level)  # a library may have given its own logger a lower level
    handler.setFormatter(_Formatter(foreign_pre_chain=shared, processors=final))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(capture=True)
    for name in list(logging.root.manager.loggerDict):
        # A library that brought handlers of its own would bypass the one above.
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True

    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    sys.excepthook = lambda _kind, error, _traceback: _log_uncaught(error)
    threading.excepthook = lambda args: _log_uncaught(args.exc_value)
    sys.unraisablehook = _log_unraisable
    # The original prints the arguments of the call as they are.
    logging.Handler.handleError = _report_lost_record  # type: ignore[method-assign, assignment, unused-ignore]


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Scrubs the finished line: nothing personal passes, whichever logger, field or traceback brings it."""

    def format(self, record: logging.LogRecord) -> str:
        try:
            line = super().format(record)
        except Exception as error:  # noqa: BLE001 - arguments that do not fit their message, or cannot be written
            line = super().format(_as_plain_record(record, error))
        return scrub(line)


def _as_plain_record(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    """Return a record that can be written: the text of the original, and why the original could not be formatted."""
    return logging.makeLogRecord(
        {
            "name": record.name,
            "levelno": record.levelno,
            "levelname": record.levelname,
            "msg": _text_of(record.msg),
            "arguments": _text_of(record.args),
            "formatting_error": f"{type(error).__name__}: {_text_of(error)}",
            "where": f"{record.pathname}:{record.lineno}",
        }
    )


def _report_lost_record(_handler: logging.Handler, record: logging.LogRecord) -> None:
    """Report on standard error that a handler could not write a record, such as on a full disk."""
    error = sys.exc_info()[1]
    line = (
        f"log record lost: {type(error).__name__}: {_text_of(error)}; {record.levelname} {record.name} "
        f"{record.pathname}:{record.lineno}: {_text_of(record.msg)} {_text_of(record.args)}"
    )
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # standard error itself may be closed or full
            print(_printable(line), file=sys.stderr)  # noqa: T201


_add_attributes = structlog.stdlib.ExtraAdder()


def _add_extra(logger: logging.Logger, method: str, record: EventDict) -> EventDict:
    """Add the fields of `extra`. One called `event` becomes `extra_event`, so that it does not replace the message."""
    own = {key: record[key] for key in ("event", "_record", "_from_structlog") if key in record}
    record = _add_attributes(logger, method, record)
    if "event" in own and record["event"] is not own["event"]:
        record["extra_event"] = record["event"]
    record.update(own)
    return record


def _text_of(value: object) -> str:
    """Return a value as text, even if its class fails to give one."""
    if isinstance(value, str):
        return value
    try:
        return str(value) if isinstance(value, BaseException) else repr(value)
    except Exception as error:  # noqa: BLE001 - any code may run here
        return f"<{type(value).__name__} without a text: {type(error).__name__}>"


def _replace_unwritable(_logger: object, _method: str, record: EventDict) -> EventDict:
    """Replace fields whose `repr` raises, because the renderer for terminals calls it."""
    for key, value in record.items():
        if not isinstance(value, (str, int, float, type(None))) and key != "exc_info":
            try:
                repr(value)
            except Exception:  # noqa: BLE001 - any code may run here
                record[key] = _text_of(value)
    return record


def _remove_escape_codes(_logger: object, _method: str, record: EventDict) -> EventDict:
    """Remove escape codes, with which logged text could change the terminal. JSON escapes them."""
    return {key: _printable(value) if isinstance(value, str) else value for key, value in record.items()}


def _printable(text: str) -> str:
    return remove_invisible(scrub(text))  # in this order: what is left of an escape code can hide where a number begins


def _write_traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    stream.write(_printable(text.getvalue()))


def _log_uncaught(error: BaseException | None) -> None:
    log = logging.getLogger("uncaught")
    if isinstance(error, KeyboardInterrupt):  # Ctrl-C is what the user wanted
        log.info("interrupted")
    elif not isinstance(error, SystemExit):  # a thread may end with it without an error
        log.critical("uncaught exception", exc_info=error)


def _log_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Log an exception that has no caller to reach, such as one in `__del__`."""
    where = _text_of(unraisable.object) if unraisable.object is not None else ""
    message = unraisable.err_msg or "exception ignored in"
    logging.getLogger("uncaught").error("%s", message, exc_info=unraisable.exc_value, extra={"object": where})


def _to_json(record: Mapping[str, object], **_: object) -> str:
    """Write a record as JSON. A value that JSON cannot hold becomes text, so that no record is lost."""
    try:
        return json.dumps(record, default=str, allow_nan=False)
    except Exception:  # noqa: BLE001 - the classes of the values may do anything
        return json.dumps({key: _json_value(value) for key, value in record.items()})


DEEPEST_VALUE = 20


def _json_value(value: object, depth: int = 0) -> object:
    """Return the value if JSON can hold it, else its text. The other values of a container keep their types."""
    if value is None or isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, (list, tuple)) and depth < DEEPEST_VALUE:
        return [_json_value(item, depth + 1) for item in value]
    if isinstance(value, dict) and depth < DEEPEST_VALUE and all(isinstance(key, str) for key in value):
        return {key: _json_value(item, depth + 1) for key, item in value.items()}
    try:
        return repr(value) if isinstance(value, (float, list, tuple, dict)) else str(value)
    except Exception:  # noqa: BLE001 - any code may run here
        return _text_of(value)


@contextmanager
def correlation(correlation_id: str | None = None) -> Iterator[str]:
    """Put one id on every record logged inside, in this task and in the tasks that it starts."""
    correlation_id = correlation_id or uuid.uuid4().hex
    with structlog.contextvars.bound_contextvars(correlation_id=correlation_id):
        yield correlation_id
