"""A file that is read again by the next one who asks after it changed; of a broken edit, the last good one stays."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from .errors import ConfigError

SETTLED = 1.0
"""Seconds after a change within which another may leave the same time stamp: until then, the content tells."""

log = structlog.get_logger(__name__)


class Watched[T]:
    """What `parse` makes of a file; `current()` costs one `stat` when nothing has changed."""

    def __init__(self, path: Path, parse: Callable[[str], T]) -> None:
        self.path = path
        self._name = str(path)
        self._parse = parse
        self._value: T | None = None
        self._text = ""
        self._stamp: tuple[int, ...] | None = None
        self._told = ""

    def current(self) -> T:
        """Return what the file holds now, or held when it was last sound.

        Raises:
            ConfigError: It has never been sound.
        """
        try:
            stat = os.stat(self._name)  # noqa: PTH116 - with every call, and several times as fast
            stamp = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
            if self._value is not None and stamp == self._stamp:
                return self._value
            text = self.path.read_text(encoding="utf-8")
            self._stamp = stamp if time.time() - max(stat.st_mtime, stat.st_ctime) > SETTLED else None
            if self._value is None or text != self._text:
                self._text = text
                self._value = self._parse(text)
                self._told = ""
        except (OSError, UnicodeDecodeError) as error:
            self._refuse(ConfigError(str(self.path), getattr(error, "strerror", None) or str(error)))
        except ConfigError as error:
            self._refuse(error)
        if self._value is None:
            raise ConfigError(str(self.path), "never read")
        return self._value

    def _refuse(self, error: ConfigError) -> None:
        if self._value is None:
            raise error
        if str(error) != self._told:
            self._told = str(error)
            log.error("edit refused, the last good one stays", where=error.where, reason=error.reason)
