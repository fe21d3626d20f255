"""One log for everything: structlog, the standard library and every third-party logger, in one form."""

import io
import json
import logging
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor

from ai_base.text.clean import remove_invisible
from ai_base.text.scrub import scrub


def configure_logging(
    level: str = "INFO", form: Literal["auto", "console", "json"] = "auto", stream: TextIO | None = None
) -> None:
    """Send every log record of the process to `stream` (standard error), as text or as JSON lines.

    `auto` is text where the stream is a terminal, JSON elsewhere. Uncaught exceptions are logged as well. Call it after
    the imports: a library that gives its logger a handler later keeps that handler. A second call replaces the first.
    """
    stream = stream or sys.stderr
    as_json = form == "json" or (form == "auto" and not stream.isatty())
    # Records of either origin pass these, so that both carry the same fields.
    shared: list[Processor] = [
        structlog.stdlib.ExtraAdder(),  # first, so that the fields below are what they say
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
        final += [_remove_escape_codes, renderer]

    handler = logging.StreamHandler(stream)
    handler.setLevel(level)  # a library may have set its own logger to more
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


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Scrubs the finished line: nothing personal passes, whichever logger, field or traceback brings it."""

    def format(self, record: logging.LogRecord) -> str:
        return scrub(super().format(record))


def _remove_escape_codes(_logger: object, _method: str, record: EventDict) -> EventDict:
    """Keep what a provider or a user wrote from changing the terminal. In JSON, control characters are escaped."""
    return {key: _printable(value) if isinstance(value, str) else value for key, value in record.items()}


def _printable(text: str) -> str:
    return remove_invisible(scrub(text))  # in this order: the rest of an escape code can hide a number's beginning


def _write_traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    stream.write(_printable(text.getvalue()))


def _log_uncaught(error: BaseException | None) -> None:
    logging.getLogger("uncaught").critical("uncaught exception", exc_info=error)


def _to_json(record: Mapping[str, object], **_: object) -> str:
    """Write a record whatever it holds: losing one over an odd value would be worse than showing its `repr`."""
    try:
        return json.dumps(record, default=str, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return json.dumps({key: value if isinstance(value, str) else repr(value) for key, value in record.items()})


@contextmanager
def correlation(correlation_id: str | None = None) -> Iterator[str]:
    """Put one id on every record logged inside, in this task and in the tasks that it starts."""
    correlation_id = correlation_id or uuid.uuid4().hex
    with structlog.contextvars.bound_contextvars(correlation_id=correlation_id):
        yield correlation_id
