"""A hostile reply costs work in proportion to its length, counted in steps and not in seconds."""

import sys
from types import FrameType

import pytest
from pydantic import BaseModel

from ai_base.text import reply_candidates
from ai_base.text.lenient_json import LenientJSONError, read
from ai_base.text.reply import ReplyError, parse_reply
from ai_base.text.reply_candidates import MAX_BRACKETS, MAX_REREAD, find_candidates

SIZES = (5_000, 20_000)

UNITS = [
    "[",
    "{",
    "{/*",
    "{//a",
    "{x ",
    '{"a" ',
    "['x ",
    "{'a",
    "[1,",
    "[.5 ",
    '{"a":',
    "{{}",
    "{}}",
    '{"a":1}\n',
    '{"item":"x","price":1}',
    '{"a":"\n```\n',
    "{“\n```\n",
    '{"a": ["b\n``` c" ',
    "<think>",
    "<think></think>",
    "</think>",
    "[THINK]{",
    '\\"',
    '{\\"a\\":',
    '"[\\"',
    "x, y: {",
    '{"name":"f","arguments":',
    "{\u200b",
    "[ \n",
    "``` ",
]


class Item(BaseModel):
    item: str
    price: float


def refuse_or_read(text: str) -> None:
    try:
        parse_reply(text, Item)
    except ReplyError:
        return


def calls(text: str) -> int:
    """Count the calls of functions, written in Python or in C, that parsing makes."""
    count = 0

    def step(_frame: FrameType, _event: str, _argument: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(step)
    try:
        refuse_or_read(text)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("unit", UNITS)
def test_hostile_text_takes_linear_steps(unit: str) -> None:
    small, large = (calls(unit * (size // len(unit))) for size in SIZES)

    assert large <= small * 4.5 + 1000


@pytest.mark.parametrize("unit", UNITS)
def test_hostile_text_is_not_read_again_and_again(monkeypatch: pytest.MonkeyPatch, unit: str) -> None:
    characters = 0
    starts = 0

    def counting_read(text: str, start: int) -> object:
        nonlocal characters, starts
        starts += 1
        try:
            document = read(text, start)
        except LenientJSONError as error:
            characters += error.position - start
            raise
        characters += document.reached - start
        return document

    monkeypatch.setattr(reply_candidates, "read", counting_read)
    text = unit * (SIZES[1] // len(unit))
    find_candidates(text)

    assert starts <= MAX_BRACKETS
    assert characters <= 2 * len(text) + MAX_REREAD


def test_the_end_of_reasoning_is_searched_once_for_tags_that_are_never_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[str] = []
    search = reply_candidates._Search.end_of_reasoning  # noqa: SLF001 - the place where the work is

    def counting_search(self: reply_candidates._Search, name: str, start: int) -> int:
        searches.append(name)
        return search(self, name, start)

    monkeypatch.setattr(reply_candidates._Search, "end_of_reasoning", counting_search)  # noqa: SLF001
    find_candidates("<think><reasoning>" * 500)

    assert searches == ["think", "reasoning"]


def test_prose_with_many_brackets_is_still_read() -> None:
    brackets = "[see 1] and {that}. " * (MAX_BRACKETS // 2 - 1)

    assert parse_reply(brackets + '{"item": "lamp", "price": 20}', Item).value.item == "lamp"


def test_too_many_brackets_are_refused_even_behind_an_answer() -> None:
    with pytest.raises(ReplyError, match="too many brackets before this one"):
        parse_reply('{"item": "lamp", "price": 20}' + "[x] " * MAX_BRACKETS, Item)
