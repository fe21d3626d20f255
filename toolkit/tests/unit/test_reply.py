"""A reply becomes the value that was asked for, or an error that says where and why."""

from datetime import date
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, TypeAdapter

from ai_base.text.lenient_json import MAX_DEPTH
from ai_base.text.reply import MAX_CHARACTERS, Reply, ReplyError, parse_reply


class Person(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str
    age: int = Field(ge=0)
    born: date | None = None


ADA = Person(name="Ada", age=36)
ADA_TEXT = '{"name": "Ada", "age": 36}'
EVE_TEXT = '{"name": "Eve", "age": 1}'


def not_a(kind: str) -> str:
    return f"Input should be a valid {kind}"


@pytest.mark.parametrize(
    "text",
    [
        ADA_TEXT,
        f"Sure! Here it is:\n```json\n{ADA_TEXT}\n```\nAnything else?",
        f"The set {{x, y}} and the list [1] aside: {ADA_TEXT} [sic]",
        f'Use {{braces}} like {{"this": 1}}, so {ADA_TEXT}.',
        '{"name": "Ada", "age": 36, "born": null, "extra": {"ignored": true}}',
        f":[ not this { {1} } nor {{, but {ADA_TEXT}",
        f"{ADA_TEXT}\nAs I said: {ADA_TEXT}",
    ],
)
def test_finds_the_object_in_what_surrounds_it(text: str) -> None:
    assert parse_reply(text, Person) == Reply(ADA, ())


def test_names_what_it_had_to_repair() -> None:
    reply = parse_reply("{'name': 'Ada', age: 36,}", Person)

    assert reply == Reply(ADA, ("quotes other than double quotes", "trailing comma", "unquoted key"))


def test_a_strict_schema_takes_a_date_from_text() -> None:
    assert parse_reply('{"name": "Ada", "age": 36, "born": "1815-12-10"}', Person).value.born == date(1815, 12, 10)


def test_an_empty_object_is_complete() -> None:
    assert parse_reply("{}", RootModel[dict[str, int]]).value.root == {}


def test_the_longest_reply_is_still_read() -> None:
    assert parse_reply(ADA_TEXT.rjust(MAX_CHARACTERS), Person).value == ADA


def test_an_extra_closing_bracket_is_repaired_only_after_the_first_object() -> None:
    assert parse_reply(ADA_TEXT + "}", Person) == Reply(ADA, ("extra closing bracket",))
    assert parse_reply(f"```json\n{ADA_TEXT}\n]\n```", Person) == Reply(ADA, ("extra closing bracket",))
    with pytest.raises(ReplyError, match="the JSON around this is broken"):
        parse_reply(f"and then {ADA_TEXT}}}", Person)


# ---- Cut replies ----


def test_missing_closing_brackets_are_marked_as_truncated() -> None:
    assert parse_reply('{"age": 36, "name": "Ada"', Person) == Reply(ADA, ("cut off",), truncated=True)
    assert parse_reply('["a", "b"', TypeAdapter(list[str])) == Reply(["a", "b"], ("cut off",), truncated=True)


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ('{"name": "Ada", "age": 36, "born": "18', Person),
        ('{"name": "Ada", "age": 36, "bo', Person),
        ('{"name": "Ada", "age": 36,', Person),
        ('{"name": "Ada", "age": 3', Person),
        ('["a", "b', TypeAdapter(list[str])),
        ('["a",', TypeAdapter(list[str])),
        (f'{EVE_TEXT} Rather: {{"name": "Ada", "a', Person),
    ],
)
def test_a_reply_that_is_cut_inside_a_value_is_refused(text: str, schema: Any) -> None:
    with pytest.raises(ReplyError, match="cut off") as caught:
        parse_reply(text, schema)

    assert caught.value.truncated


def test_an_error_about_a_complete_reply_is_not_truncated() -> None:
    with pytest.raises(ReplyError) as caught:
        parse_reply('{"name": "Ada"}', Person)

    assert not caught.value.truncated


@pytest.mark.parametrize("text", ["{'name': 'Ada', 'age': 36}", f"[{ADA_TEXT}]", '{"age": 36, "name": "Ada"'])
def test_the_strict_mode_refuses_every_repair(text: str) -> None:
    assert parse_reply(text, Person).repairs
    with pytest.raises(ReplyError, match="needs repair: "):
        parse_reply(text, Person, strict=True)


def test_the_strict_mode_accepts_prose_around_plain_json() -> None:
    assert parse_reply(f"<think>{EVE_TEXT}</think>Here: {ADA_TEXT}", Person, strict=True) == Reply(ADA, ())


# ---- Types other than models ----


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        (f"As a list: [{ADA_TEXT}]", list[Person], [ADA]),
        (f"Found: {ADA_TEXT}", Person | None, ADA),
        ("null", Person | None, None),
        ('{"a": 1}', dict[str, int], {"a": 1}),
        ("<think>41?</think>\n42", int, 42),
        ("```\n42\n```", int, 42),
        ('"bug"', Literal["bug", "question"], "bug"),
        ("[1, 2]", tuple[int, int], (1, 2)),
    ],
)
def test_reads_any_type_that_pydantic_validates(text: str, schema: Any, value: object) -> None:
    assert parse_reply(text, TypeAdapter(schema)) == Reply(value, ())


def test_a_bare_word_counts_as_a_string_and_is_named_as_a_repair() -> None:
    assert parse_reply("bug\n", TypeAdapter(Literal["bug"])) == Reply("bug", ("unquoted text",))
    assert parse_reply("hello", TypeAdapter(str)) == Reply("hello", ("unquoted text",))


@pytest.mark.parametrize("text", ["The answer is 42", "42 or 43", "", "<think>42"])
def test_a_scalar_is_never_searched_for_in_prose(text: str) -> None:
    with pytest.raises(ReplyError, match="no JSON object found"):
        parse_reply(text, TypeAdapter(int))


# ---- Errors ----


def test_points_at_the_value_that_lacks_something() -> None:
    class Team(BaseModel):
        people: list[Person]

    with pytest.raises(ReplyError) as caught:
        parse_reply('{"people": [{"name": "Ada", "age": 36}, {"name": "Eve"}]}', Team)

    assert str(caught.value) == "line 1, column 41: people.'1'.age: Field required"


def test_a_reply_is_a_value() -> None:
    assert hash(Reply("Ada", ())) == hash(Reply("Ada", ()))


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
        ('{"name": "Ada", "ag', "line 1, column 10: the reply is cut off in or after 'name'"),
        ('{"name": "Ada"', "line 1, column 1: the reply is cut off: age: Field required"),
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
        ("[" * (MAX_DEPTH + 1), f"line 1, column {MAX_DEPTH + 1}: nested deeper than {MAX_DEPTH} levels"),
        ("x" * (MAX_CHARACTERS + 1), "line 1, column 1: the reply has 200,001 characters, more than 200,000"),
    ],
)
def test_says_where_and_why(text: str, message: str) -> None:
    with pytest.raises(ReplyError) as caught:
        parse_reply(text, Person)

    assert str(caught.value) == message


def test_an_error_stays_short_and_printable() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")

    keys = ", ".join(f'"key {number}": "{"x" * 1000}"' for number in range(100))

    with pytest.raises(ReplyError) as caught:
        parse_reply('{"\\u001b[31mred\\n": 1, ' + keys + "}", Strict)

    assert caught.value.reason.startswith(r"'\x1b[31mred\n': Extra inputs are not permitted (got '1'); 'key 0': Extra")
    assert caught.value.reason.endswith("; and 96 more")
    assert len(caught.value.reason) < 1000
