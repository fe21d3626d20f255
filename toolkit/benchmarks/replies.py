"""How often a reply is read right, refused, or read wrong without a word: ours and json-repair on the same inputs.

Prints a table by kind. For the columns of json-repair, run `uv run --with json-repair python benchmarks/replies.py`.
`-v` also prints each input that was not read right.

`replies.jsonl` holds the inputs, one a line: output type, text and answer. Where no answer is certain, it is
null, and the text must be refused. Where the text is cut off, it is "truncated": refused, or marked as such.

A second table is about replies that nobody chose: an object, damaged at one to three places by chance (the same ones in
each run). Its part, a sound object, must never be returned for the whole, nor be lost, unless the damage is in its key.
"""

import importlib
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from ai_base.text.reply import ReplyError, parse_reply

type Outcome = Literal["right", "refused", "wrong"]
type Reader = Callable[[str, TypeAdapter[Any]], Any]


class Refused(Exception):  # noqa: N818 - a refusal can be right
    """The reader returned no value, or marked it as incomplete."""


class Item(BaseModel):
    """An object with required and optional fields, one of which is of the same kind."""

    item: str
    price: float
    spare: "Item | None" = None
    note: str | None = None
    tags: list[str] = []


class Options(BaseModel):
    """An object in which everything is optional."""

    color: str | None = None
    size: int | None = None


class Person(BaseModel):
    """An object whose key is also one of a tool call's."""

    name: str


class Bag(BaseModel):
    """An object around a list."""

    numbers: list[int]


SCHEMAS: dict[str, TypeAdapter[Any]] = {
    "Item": TypeAdapter(Item),
    "Items": TypeAdapter(list[Item]),
    "Numbers": TypeAdapter(list[int]),
    "Options": TypeAdapter(Options),
    "Person": TypeAdapter(Person),
    "Bag": TypeAdapter(Bag),
}


DAMAGED = 2_000
WHOLE = [
    '{"item": "cable", "price": 10, "note": "a {b} [c] it\'s", "spare": {"item": "plug", "price": 1}}',
    '{\n  "item": "cable",\n  "price": 10,\n  "spare": {\n    "item": "plug",\n    "price": 1\n  }\n}',
    "{'item': 'cable', 'price': 10, 'spare': {'item': 'plug', 'price': 1}, 'note': 'so} ['}",
    '[{"item": "cable", "price": 10, "spare": {"item": "plug", "price": 1}}]',
]


@dataclass(frozen=True)
class Case:
    """A reply of a model and what it must be read as."""

    kind: str
    schema: str
    text: str
    answer: Any


def ours(text: str, schema: TypeAdapter[Any]) -> object:
    """Read with `parse_reply`."""
    try:
        reply = parse_reply(text, schema)
    except ReplyError as error:
        raise Refused from error
    if reply.truncated:
        raise Refused
    return reply.value


def ours_strict(text: str, schema: TypeAdapter[Any]) -> object:
    """Read with `parse_reply`, without any repair."""
    try:
        return parse_reply(text, schema, strict=True).value
    except ReplyError as error:
        raise Refused from error


def json_repair_reader(*, strict: bool) -> Reader:
    """Return a reader that repairs with json-repair and then validates."""
    module = importlib.import_module("json_repair")

    def read(text: str, schema: TypeAdapter[Any]) -> object:
        try:
            return schema.validate_python(module.loads(text, strict=strict))
        except (ValidationError, ValueError) as error:
            raise Refused from error

    return read


def outcome(case: Case, reader: Reader) -> Outcome:
    """Tell whether a reader reads a case right. A refusal of what must be refused is right."""
    schema = SCHEMAS[case.schema]
    must_refuse = case.answer is None or case.answer == "truncated"
    try:
        value = reader(case.text, schema)
    except Refused:
        return "right" if must_refuse else "refused"
    if must_refuse or value != schema.validate_python(case.answer):
        return "wrong"
    return "right"


def damaged_replies() -> Iterator[str]:
    """Yield replies with damage by chance."""
    chance = random.Random(1)  # noqa: S311 - no secret
    for _ in range(DAMAGED):
        text = list(chance.choice(WHOLE))
        for _ in range(chance.choice([1, 1, 2, 3])):
            at = chance.randrange(len(text))
            text[at : at + chance.choice([0, 1])] = chance.choice(["", *"\"'{}[],:\\\n`# "])
        yield "".join(text)


def count_parts(reader: Reader) -> Counter[str]:
    """Count how a reader reads damaged replies."""
    counter: Counter[str] = Counter()
    for text in damaged_replies():
        try:
            value = reader(text, SCHEMAS["Item"])
        except Refused:
            counter["refused"] += 1
        else:
            counter["part"] += value.item == "plug"
            counter["lost"] += value.item != "plug" and value.spare is None and '"spare"' in text.replace("'", '"')
    return counter


def cases() -> list[Case]:
    """Return the inputs."""
    lines = Path(__file__).with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
    return [Case(**json.loads(line)) for line in lines]


def main() -> None:
    """Print the table."""
    readers: dict[str, Reader] = {"ai_base": ours, "ai_base, strict": ours_strict}
    try:
        readers |= {
            "json-repair": json_repair_reader(strict=False),
            "json-repair, strict": json_repair_reader(strict=True),
        }
    except ImportError:
        print("json-repair is not installed: uv run --with json-repair python benchmarks/replies.py\n")
    counts: dict[str, dict[str, Counter[Outcome]]] = {}
    totals = {name: Counter[Outcome]() for name in readers}
    inputs = cases()
    for case in inputs:
        row = counts.setdefault(case.kind, {name: Counter() for name in readers})
        for name, reader in readers.items():
            result = outcome(case, reader)
            row[name][result] += 1
            totals[name][result] += 1
            if "-v" in sys.argv and result != "right":
                print(f"{name}: {result}: {case.kind}: {case.text!r}")
    print("right / refused though there is an answer / wrong without a word\n")
    print(f"| {len(inputs)} replies | " + " | ".join(readers) + " |")
    print("|---" * (len(readers) + 1) + "|")
    for kind, row in {**counts, "all": totals}.items():
        print(f"| {kind} | " + " | ".join(_cell(row[name]) for name in readers) + " |")
    print(f"\n| {DAMAGED} damaged replies | refused | the part for the whole | the part lost |\n|---|---|---|---|")
    for name, reader in readers.items():
        parts = count_parts(reader)
        print(f"| {name} | {parts['refused']} | {parts['part']} | {parts['lost']} |")


def _cell(counter: Counter[Outcome]) -> str:
    return f"{counter['right']} / {counter['refused']} / {counter['wrong']}"


if __name__ == "__main__":
    main()
