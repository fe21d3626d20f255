"""A file that is read again by the next one who asks after it changed; of a broken edit, the last good one stays."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from ai_base.llm.errors import ConfigError

SETTLED = 1.0
"""Seconds after a change within which another may leave the same time stamp: until then, the content tells."""

log = structlog.get_logger(__name__)


class Watched[T]:
    """What `parse` makes of a file; `current()` costs one `stat` when nothing has changed."""

    def __init__(self, path: Path, parse: Callable[[str], T]) -> None:
        self.path, self._name, self._parse = path, str(path), parse
        self._value: T | None = None
        self._stamp: tuple[int, ...] | None = None
        self._text, self._told = "", ""

    def current(self) -> T:
        """Return what the file holds now, or held when it was last sound.

        Raises:
            ConfigError: It has never been sound.
        """
        try:
            return self._read()
        except (OSError, UnicodeDecodeError, ConfigError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            refused = error if isinstance(error, ConfigError) else ConfigError(str(self.path), reason)
            if self._value is None:
                raise refused from None
            if str(refused) != self._told:
                self._told = str(refused)
                log.error("edit refused, the last good one stays", where=refused.where, reason=refused.reason)  # noqa: TRY400
            return self._value

    def _read(self) -> T:
        stat = os.stat(self._name)  # noqa: PTH116 - with every call, and several times as fast
        stamp = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
        if self._value is None or stamp != self._stamp:
            text = self.path.read_text(encoding="utf-8")
            self._stamp = stamp if time.time() - max(stat.st_mtime, stat.st_ctime) > SETTLED else None
            if self._value is None or text != self._text:
                self._value, self._text, self._told = self._parse(text), text, ""
        return self._value
