"""Values after names are replaced, nested or in other forms; the text around them stays."""

import json
from typing import Any

import pytest

from ai_base.text.scrub import scrub


def test_a_schema_with_a_field_for_a_password_stays() -> None:
    schema = {
        "properties": {
            "password": {"type": "string", "title": "Password", "enum": ["a", "b"], "minLength": 8},
            "token": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        },
        "required": ["password", "token"],
    }

    assert json.loads(scrub(json.dumps(schema))) == schema


@pytest.mark.parametrize(
    ("record", "scrubbed"),
    [
        ({"password": ["x", 12345]}, {"password": ["[key]", "[key]"]}),
        ({"password": {"value": "x", "n": 5}}, {"password": {"value": "[key]", "n": 5}}),
        ({"a": {"token": {"b": {"c": "x"}}}, "d": "y"}, {"a": {"token": {"b": {"c": "[key]"}}}, "d": "y"}),
        ({"phone": 5551234567, "n": 5551234567}, {"phone": "[phone]", "n": 5551234567}),
        ({"credentials": {"user": "bob", "pass": "x"}}, {"credentials": {"user": "[key]", "pass": "[key]"}}),
        ({"Authorization": "ApiKey abc"}, {"Authorization": "[key]"}),
    ],
)
def test_values_below_a_name_are_hidden(record: Any, scrubbed: Any) -> None:
    assert json.loads(scrub(json.dumps(record))) == scrubbed


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ('Authorization: Digest username="bob", response="abc"', "Authorization: Digest [key]"),
        ("Authorization: token abcdef1", "Authorization: token [key]"),
        ("authorization: ApiKey zyxwvut", "authorization: ApiKey [key]"),
        ("Cookie: a=b; c=d", "Cookie: [key]"),
        ("<password>x</password>", "<password>[key]</password>"),
        ("Passwort: geheim", "Passwort: [key]"),
        ("tool --password x --verbose", "tool --password [key] --verbose"),
        ("AccountName=a;AccountKey=abc==;Suffix=b", "AccountName=a;AccountKey=[key];Suffix=b"),
        ("/file?sv=1&sig=abcdef1%3D&se=2", "/file?sv=1&sig=[key]&se=2"),
        ("('api-key', 'abc')", "('api-key', '[key]')"),
        ("card 4111.1111.1111.1111", "card [card]"),
        ("de89 3704 0044 0532 0130 00", "[iban]"),
        ("DE89\xa03704\xa00044\xa00532\xa00130\xa000", "[iban]"),
        ("bob\uff20example.com bob&#64;example.com", "[email] [email]"),
        ('{"phone": "030 12345"}', '{"phone": "[phone]"}'),
        (
            "password\n  Too short [type=x, input_value='abc', input_type=str]",
            "password\n  Too short [type=x, input_value='[key]', input_type=str]",
        ),
    ],
)
def test_what_stands_around_a_secret_stays(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed
    assert scrub(scrubbed) == scrubbed
