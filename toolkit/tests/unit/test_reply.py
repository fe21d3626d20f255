"""A reply becomes the object that was asked for, or an error that says where and why."""

from datetime import date

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel

from ai_base.text.lenient_json import MAX_DEPTH, Document, read
from ai_base.text.reply import MAX_CHARACTERS, Reply, ReplyError, parse_reply


class Person(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str
    age: int = Field(ge=0)
    born: date | None = None


ADA = Person(name="Ada", age=36)


def not_a(kind: str) -> str:
    return f"Input should be a valid {kind}"


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Ada", "age": 36}',
        'Sure! Here it is:\n```json\n{"name": "Ada", "age": 36}\n```\nAnything else?',
        'The set {x, y} and the list [1] aside: {"name": "Ada", "age": 36} [sic]',
        'Use {braces} like {"this": 1}, so {"name": "Ada", "age": 36}.',
        'A draft: {"name": "Eve", "age": 1}. On reflection: {"name": "Ada", "age": 36}',
        '{"name": "Ada", "age": 36, "born": null, "extra": {"ignored": true}}',
        '```json\n{"name": "Ad\n```\nAgain, in full:\n```json\n{"name": "Ada", "age": 36}\n```',
        '[\'tis the answer] {"name": "Ada", "age": 36}',
        '{"name": "Ada", "age": 36} Once more: {"name": "Eve", "age": 1, "born": "19',
    ],
)
def test_finds_the_object_in_what_surrounds_it(text: str) -> None:
    assert parse_reply(text, Person) == Reply(ADA, ())


def test_names_what_it_had_to_forgive() -> None:
    reply = parse_reply("{'name': 'Ada', age: 36,}", Person)

    assert reply == Reply(ADA, ("quotes other than double quotes", "trailing comma", "unquoted key"))


def test_takes_a_reply_that_was_cut_off_after_all_that_matters() -> None:
    assert parse_reply('{"name": "Ada", "age": 36, "born": "18', Person) == Reply(ADA, ("cut off",))


def test_a_strict_schema_takes_a_date_from_text() -> None:
    assert parse_reply('{"name": "Ada", "age": 36, "born": "1815-12-10"}', Person).value.born == date(1815, 12, 10)


def test_an_empty_object_is_complete() -> None:
    assert parse_reply("{}", RootModel[dict[str, int]]).value.root == {}


def test_the_longest_reply_is_still_read() -> None:
    text = '{"name": "Ada", "age": 36}'.rjust(MAX_CHARACTERS)

    assert parse_reply(text, Person).value == ADA


def test_points_at_the_value_that_lacks_something() -> None:
    class Team(BaseModel):
        people: list[Person]

    with pytest.raises(ReplyError) as caught:
        parse_reply('{"people": [{"name": "Ada", "age": 36}, {"name": "Eve"}]}', Team)

    assert str(caught.value) == "line 1, column 41: people.'1'.age: Field required"


def test_a_reply_is_a_value() -> None:
    assert hash(Reply("Ada", ())) == hash(Reply("Ada", ()))  # type: ignore[type-var]


def test_finds_an_array_for_a_schema_that_is_one() -> None:
    assert parse_reply("As a list: [1, 2, 3]", RootModel[list[int]]).value.root == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("I'm sorry, I can't do that.", "line 1, column 1: no JSON object found"),
        ("", "line 1, column 1: no JSON object found"),
        (
            '{\n  "name": "Ada",\n  "age": -1\n}',
            "line 3, column 10: age: Input should be greater than or equal to 0 (got '-1')",
        ),
        ('text\n{"name": "Ada"}', "line 2, column 1: age: Field required"),
        ('{"name": "Ada" "age": 36}', "line 1, column 16: expected ',' or '}', found '\"'"),
        ('{"name": "Ada", "ag', "line 1, column 1: the reply is cut off: age: Field required"),
        ('{x} then {"name": "Ada"}', "line 1, column 10: age: Field required"),
        ('{"name": "Ada"} then {x}', "line 1, column 1: age: Field required"),
        (
            '{"name": "Ada", "age": "' + "x" * 100 + '"}',
            f"line 1, column 24: age: {not_a('integer')} (got '{'x' * 40}')",
        ),
        ('So: {"name": "A', "line 1, column 16: the reply ends before its first value is complete"),
        (
            '{"age": "x", "name": 1}',
            f"line 1, column 22: name: {not_a('string')} (got '1'); age: {not_a('integer')} (got 'x')",
        ),
        # The broken whole is reported, not the sound parts inside it.
        ('[{"name": "Ada", "age": 1} {"name": 1}]', "line 1, column 28: expected ',' or ']', found '{'"),
        ("x" * (MAX_CHARACTERS + 1), "line 1, column 1: the reply has 200,001 characters, more than 200,000"),
    ],
)
def test_says_where_and_why(text: str, message: str) -> None:
    with pytest.raises(ReplyError) as caught:
        parse_reply(text, Person)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "reads"), [("[" * 5 * MAX_DEPTH, 5), ("{/*" * 100, 1), ("['x " * 100, 21), ('{"a" ' * 100, 100)]
)
def test_a_hostile_reply_is_not_read_again_and_again(monkeypatch: pytest.MonkeyPatch, text: str, reads: int) -> None:
    starts: list[int] = []

    def counting_read(text: str, start: int) -> Document:
        starts.append(start)
        return read(text, start)

    monkeypatch.setattr("ai_base.text.reply.read", counting_read)

    with pytest.raises(ReplyError):
        parse_reply(text, Person)

    assert len(starts) == reads


def test_an_error_stays_short_and_printable() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")

    keys = ", ".join(f'"key {number}": "{"x" * 1000}"' for number in range(100))

    with pytest.raises(ReplyError) as caught:
        parse_reply('{"\\u001b[31mred\\n": 1, ' + keys + "}", Strict)

    assert caught.value.reason.startswith(r"'\x1b[31mred\n': Extra inputs are not permitted (got '1'); 'key 0': Extra")
    assert caught.value.reason.endswith("; and 96 more")
    assert len(caught.value.reason) < 1000
