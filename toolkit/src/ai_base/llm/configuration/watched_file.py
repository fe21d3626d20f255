"""A file that is read again after an edit. After a broken edit, the last valid content stays in use."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from ai_base.llm.errors import ConfigError

SETTLED = 1.0
"""Seconds after an edit in which another edit may get the same time stamp; until then the content is compared."""

log = structlog.get_logger(__name__)


class Watched[T]:
    """The parsed content of a file. `current()` costs one `stat` if nothing has changed."""

    def __init__(self, path: Path, parse: Callable[[str], T]) -> None:
        self.path, self._name, self._parse = path, str(path), parse
        self._value: T | None = None
        self._stamp: tuple[int, ...] | None = None
        self._text, self._logged = "", ""

    def current(self) -> T:
        """Return the parsed content; if the file is invalid now, its last valid content.

        Raises:
            ConfigError: It has never been valid.
        """
        try:
            return self._read()
        except (OSError, UnicodeDecodeError, ConfigError) as error:
            if isinstance(error, ConfigError):
                refused = error
            else:
                refused = ConfigError(str(self.path), getattr(error, "strerror", None) or str(error))
            if self._value is None:
                raise refused from None
            if str(refused) != self._logged:
                self._logged = str(refused)
                where, reason = refused.where, refused.reason
                log.error("invalid edit ignored, last valid version used", where=where, reason=reason)  # noqa: TRY400
            return self._value

    def _read(self) -> T:
        stat = os.stat(self._name)  # noqa: PTH116 - called often; several times as fast as pathlib
        stamp = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
        if self._value is None or stamp != self._stamp:
            text = self.path.read_text(encoding="utf-8")
            self._stamp = stamp if time.time() - max(stat.st_mtime, stat.st_ctime) > SETTLED else None
            if self._value is None or text != self._text:
                self._value, self._text, self._logged = self._parse(text), text, ""
        return self._value
