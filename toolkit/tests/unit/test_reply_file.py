"""A file with a reply becomes JSON, or an error that names the file."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from ai_base.cli import parse_file
from ai_base.errors import AIBaseError


class Options(BaseModel):
    color: str | None = None
    size: int | None = None


@pytest.fixture(autouse=True)
def _schema(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("reply_schemas")
    module.Options = Options  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)


def parse(folder: Path, text: str) -> str:
    path = folder / "reply.txt"
    path.write_text(text, encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        opened: Any = file  # what Typer hands over
        return parse_file(opened, "reply_schemas:Options")


def test_a_reply_becomes_json(tmp_path: Path) -> None:
    assert parse(tmp_path, 'Here: {"color": "red"}') == '{\n  "color": "red",\n  "size": null\n}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Sorry.", "reply.txt:1:1: no JSON object found"),
        ('{"color": "red", "si', "reply.txt:1:11: the reply is cut off in or after 'color'"),
        ('{"color": "red"', "reply.txt: the reply is cut off before its closing brackets"),
    ],
)
def test_a_file_without_a_complete_reply_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AIBaseError) as caught:
        parse(tmp_path, text)

    assert str(caught.value).endswith(message)
