"""An edited file is read again; a broken edit is logged once, and the last valid content stays in use."""

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ai_base.llm.configuration.watched_file import Watched
from ai_base.llm.errors import ConfigError


def number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigError("file:1", f"{text!r} is no number") from None


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "number"
    path.write_text("1", encoding="utf-8")
    return path


def test_an_edit_is_used_by_the_next_call(file: Path) -> None:
    watched = Watched(file, number)
    assert watched.current() == 1

    for value in range(2, 30):  # as fast as can be: within one tick of the file system's clock, with the same length
        file.write_text(str(value % 10), encoding="utf-8")
        assert watched.current() == value % 10


def test_edits_with_the_same_time_stamp_are_all_seen(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = file.stat()
    watched = Watched(file, number)
    with monkeypatch.context() as patch:
        patch.setattr("os.stat", lambda *_, **__: stat)  # a coarse clock: time, size and inode stay the same
        patch.setattr("time.time", lambda: stat.st_mtime + 0.5)
        first = watched.current()
        with file.open("w", encoding="utf-8") as edited:
            edited.write("2")
        second = watched.current()

    assert (first, second) == (1, 2)


def test_a_file_that_was_replaced_with_an_old_time_is_read_again(file: Path) -> None:
    os.utime(file, (1_000_000_000, 1_000_000_000))
    watched = Watched(file, number)
    assert watched.current() == 1

    other = file.with_name("other")
    other.write_text("2", encoding="utf-8")
    os.utime(other, (1_000_000_000, 1_000_000_000))
    other.replace(file)

    assert watched.current() == 2


def test_a_file_at_rest_is_not_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(file, number)
    later = file.stat().st_mtime + 10
    monkeypatch.setattr("time.time", lambda: later)
    assert watched.current() == 1

    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("it was read again"))

    assert watched.current() == 1


@pytest.mark.parametrize("breakage", ["text", "bytes", "gone"])
def test_the_last_valid_content_stays_and_the_log_says_so_once(file: Path, breakage: str) -> None:
    watched = Watched(file, number)
    watched.current()
    if breakage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"one" if breakage == "text" else b"\xff")

    with capture_logs() as logs:
        assert [watched.current() for _ in range(3)] == [1, 1, 1]

    assert [(each["log_level"], each["event"]) for each in logs] == [
        ("error", "invalid edit ignored, last valid version used")
    ]
    file.write_text("3", encoding="utf-8")
    assert watched.current() == 3


def test_a_file_that_was_never_valid_is_an_error_each_time(file: Path) -> None:
    file.write_text("one", encoding="utf-8")
    watched = Watched(file, number)

    for _ in range(2):
        with pytest.raises(ConfigError, match="'one' is no number"):
            watched.current()
    file.write_text("1", encoding="utf-8")
    assert watched.current() == 1
