"""Answers inside a list, a tool call or a JSON string, and the inputs of the benchmark."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel

from ai_base.text.reply import Reply, ReplyError, parse_reply

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "replies.py"


class Item(BaseModel):
    item: str
    price: float


class Person(BaseModel):
    name: str


class Machine(BaseModel):
    name: str
    input: dict[str, int]


LAMP = Item(item="lamp", price=20)
LAMP_TEXT = '{"item": "lamp", "price": 20}'
LAMP_STRING = json.dumps(LAMP_TEXT)


@pytest.mark.parametrize(
    ("text", "repairs"),
    [
        (f"[{LAMP_TEXT}]", ("list of one item",)),
        (f"[[{LAMP_TEXT}]]", ("list of one item",)),
        (f'{{"name": "save", "arguments": {LAMP_TEXT}}}', ("tool call",)),
        (f'<tool_call>{{"tool": "save", "parameters": {LAMP_TEXT}}}</tool_call>', ("tool call",)),
        (f'{{"type": "tool_use", "id": "1", "name": "save", "input": {LAMP_TEXT}}}', ("tool call",)),
        (f'{{"name": "save", "arguments": {LAMP_STRING}}}', ("arguments encoded as a string", "tool call")),
        (f'[{{"name": "save", "args": {LAMP_TEXT}}}]', ("list of one item", "tool call")),
        (f'{{"function": {{"name": "save", "arguments": {LAMP_TEXT}}}}}', ("tool call",)),
        (
            f'{{"tool_calls": [{{"id": "1", "function": {{"name": "save", "arguments": {LAMP_STRING}}}}}]}}',
            ("arguments encoded as a string", "list of one item", "tool call"),
        ),
    ],
)
def test_a_wrapper_is_taken_off_and_named(text: str, repairs: tuple[str, ...]) -> None:
    assert parse_reply(text, Item) == Reply(LAMP, repairs)


def test_the_name_of_a_tool_is_not_taken_for_a_field() -> None:
    assert parse_reply('{"name": "save", "arguments": {"name": "Ada"}}', Person).value == Person(name="Ada")
    with pytest.raises(ReplyError, match="name: Field required"):
        parse_reply('{"name": "save", "arguments": {"id": 1}}', Person)


def test_an_object_that_only_looks_like_a_tool_call_stays_whole() -> None:
    text = '{"name": "press", "input": {"watts": 5}}'

    assert parse_reply(text, Machine) == Reply(Machine(name="press", input={"watts": 5}), ())


@pytest.mark.parametrize(
    "text",
    [
        f"[{LAMP_TEXT}, {LAMP_TEXT}]",
        '{"name": "save", "arguments": {"item": "la"mp", "price": 20}}',
        '{"name": "save", "arguments": "{\\"item\\": \\"lamp\\", \\"price\\": 20"}',
        '{"name": "save", "arguments": "{\\"price\\": 20, \\"item\\": \\"lamp\\""}',
        f'{{"name": "save", "arguments": {json.dumps(LAMP_TEXT + " or not")}}}',
        f'{{"name": "save", "arguments": {LAMP_TEXT}, "comment": "x"}}',
        f'{{"result": {LAMP_TEXT}}}',
    ],
)
def test_other_wrappers_are_refused(text: str) -> None:
    with pytest.raises(ReplyError):
        parse_reply(text, Item)


@pytest.mark.parametrize(
    "text",
    [
        LAMP_STRING,
        json.dumps(LAMP_STRING),
        LAMP_TEXT.replace('"', '\\"'),
        f"```json\n{LAMP_STRING}\n```",
        json.dumps(f"```json\n{LAMP_TEXT}\n```"),
        f"<think>so</think>{LAMP_STRING}",
        f"Here: {LAMP_STRING}",
        '{\\n  \\"item\\": \\"lamp\\",\\n  \\"price\\": 20\\n}',
    ],
)
def test_a_reply_that_is_encoded_twice_is_decoded_and_the_repair_named(text: str) -> None:
    assert parse_reply(text, Item) == Reply(LAMP, ("encoded twice",))


def test_decoding_takes_one_level_of_escapes_off() -> None:
    item = {"item": 'a\nb "c" \\ 😀', "price": 1}

    for text in (json.dumps(json.dumps(item)), json.dumps(json.dumps(item))[1:-1]):
        assert parse_reply(text, Item).value == Item.model_validate(item)


def test_a_plain_reply_keeps_its_escapes() -> None:
    item = {"item": '{\\"a\\": 1}', "price": 1}

    assert parse_reply(json.dumps(item), Item) == Reply(Item.model_validate(item), ())


def test_endless_encoding_is_refused() -> None:
    text = LAMP_TEXT
    for _ in range(8):
        text = json.dumps(text)

    with pytest.raises(ReplyError):
        parse_reply(text, Item)


@pytest.fixture
def benchmark() -> ModuleType:
    specification = importlib.util.spec_from_file_location("replies_benchmark", BENCHMARK)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def test_every_reply_of_the_benchmark_is_read_right(benchmark: ModuleType) -> None:
    cases = benchmark.cases()

    assert len(cases) >= 120
    assert [case for case in cases if benchmark.outcome(case, benchmark.ours) != "right"] == []
