"""What the reader repairs, and what it refuses."""
# ruff: noqa: RUF001 - full-width characters are among the subjects

import json
from typing import Any

import pytest

from ai_base.text.lenient_json import MAX_DEPTH, LenientJSONError, read


@pytest.mark.parametrize(
    ("text", "value", "repairs"),
    [
        ('{"a": [1, -2.5, 1e3, true, null, "x"]}', {"a": [1, -2.5, 1000.0, True, None, "x"]}, set()),
        ("{'a': 'b'}", {"a": "b"}, {"quotes other than double quotes"}),
        ("{“a”: ‘b’}", {"a": "b"}, {"quotes other than double quotes"}),
        ("{'a': 'it's'}", {"a": "it's"}, {"quotes other than double quotes"}),
        ("""{'a': 'say "hi"'}""", {"a": 'say "hi"'}, {"quotes other than double quotes"}),
        ("{a: 1, b_2: 2, é: 3}", {"a": 1, "b_2": 2, "é": 3}, {"unquoted key"}),
        ('{"a": [1, 2,],}', {"a": [1, 2]}, {"trailing comma"}),
        ('{"a": True}', {"a": True}, {"Python literal"}),
        ('{"a": False}', {"a": False}, {"Python literal"}),
        ('{"a": None}', {"a": None}, {"Python literal"}),
        ("[true, false, null]", [True, False, None], set()),
        ("[0, -0.5, 1e-3, 1E+3]", [0, -0.5, 0.001, 1000.0], set()),
        ('{\t"a":\r\n1}', {"a": 1}, set()),
        ('{"a": 1, // why\n "b": /* what */ 2}', {"a": 1, "b": 2}, {"comment"}),
        ('{"a": 1, /* one */ "b": 2 /*\n two */}', {"a": 1, "b": 2}, {"comment"}),
        ('{"a": "x\n```\ny\n```\n", "b": 2}', {"a": "x\n```\ny\n```\n", "b": 2}, {"raw control character in a string"}),
        ('{"a": "x\n```"\n}', {"a": "x\n```"}, {"raw control character in a string"}),
        ('{"a": "x\n```"\n"b": 2}', {"a": "x\n```", "b": 2}, {"raw control character in a string", "missing comma"}),
        ('{"a": "one\ntwo"}', {"a": "one\ntwo"}, {"raw control character in a string"}),
        (r'{"a": "C:\dir\'s\“"}', {"a": r"C:\dir's“"}, {"invalid escape"}),
        (r'{"a": "\b\f\r\t\/\u00E9"}', {"a": "\b\f\r\t/é"}, set()),
        (r'{"a": "\u00e9\ud83d\ude00\n\"\\"}', {"a": 'é😀\n"\\'}, set()),
        (r'{"a": "\ud83d"}', {"a": "\ufffd"}, set()),
        ('{"url": "http://x.y/z"}', {"url": "http://x.y/z"}, set()),
        ('{"a": 1, "a": 2}', {"a": 2}, {"repeated key"}),
        ("{„a“: „b“, «c»: «d», ”e”: ”f”}", {"a": "b", "c": "d", "e": "f"}, {"quotes other than double quotes"}),
        ("{＂a＂: ＇b＇}", {"a": "b"}, {"quotes other than double quotes"}),
        ("｛a：［1，2］｝", {"a": [1, 2]}, {"unquoted key", "full-width punctuation"}),
        ('{"a": "：，｛"}', {"a": "：，｛"}, set()),
        ('{\u200b"\u200ba\ufeff": "\u200bb"}', {"a": "\u200bb"}, {"invisible character"}),
        ('{"a": 1 # why\n, #because\n"b": # so\n2}', {"a": 1, "b": 2}, {"comment"}),
        ('{"a": "# no // comment"}', {"a": "# no // comment"}, set()),
        ('{"a": (1, 2), "b": (), "c": (3,)}', {"a": [1, 2], "b": [], "c": [3]}, {"tuple", "trailing comma"}),
        ("[.5, -.5, 5., 5.e1]", [0.5, -0.5, 5.0, 50.0], {"number without digits on both sides of the point"}),
        (
            '{"a": 1\n"b": [1\n2]\n\'c\': 3}',
            {"a": 1, "b": [1, 2], "c": 3},
            {"missing comma", "quotes other than double quotes"},
        ),
        ('{"a": "x" // y\n"b": 2}', {"a": "x", "b": 2}, {"missing comma", "comment"}),
    ],
)
def test_repairs_form(text: str, value: Any, repairs: set[str]) -> None:
    document = read(text, 0)

    assert (document.value, set(document.repairs), document.truncated) == (value, repairs, False)
    assert document.end == len(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "b": "cut o',
        '{"a": 1, "b": 12',
        '{"a": 1, "b": tru',
        '{"a": 1, "b": [1, 2',
        '{"a": 1, "b"',
        '{"a": 1, "b":',
        '{"a": 1,',
        '{"a": 1',
        '[{"a": 1}, {"a"',
        '[{"a": 1},\n```',
        '{"a": "x", "b": "y\n```\nSorry, "that" was cut',
        '{"a": "x", "b": "y\n  ```\nSorry, that was cut',
        "{'a': 1, 'b': 'O'",
        "{“a”: 1, “b”: ‘O’",
        '{"a": "x", "b": -',
        '{"a": "x", "b": 1e',
        '{"a": "x", /* wh',
        '{"a": "x", "b": "y\\',
        "{",
    ],
)
def test_a_cut_inside_a_value_or_behind_a_comma_loses_something(text: str) -> None:
    document = read(text, 0)

    assert (document.truncated, document.lost) == (True, True)
    assert "cut off" in document.repairs
    assert document.end <= len(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "x"', {"a": "x"}),
        ('{"a": "x"\n```', {"a": "x"}),
        ('{"a": "x" /', {"a": "x"}),
        ('{"a": 1\n', {"a": 1}),
        ('{"a": {"b": ["x", "y"', {"a": {"b": ["x", "y"]}}),
        ('[{"a": 1}', [{"a": 1}]),
    ],
)
def test_a_cut_before_closing_brackets_keeps_every_value(text: str, value: Any) -> None:
    document = read(text, 0)

    assert (document.truncated, document.lost, document.value) == (True, False, value)
    assert "cut off" in document.repairs


@pytest.mark.parametrize("rest", ['{"a": 1}', "nothing"])
def test_a_string_that_is_cut_at_a_code_fence_ends_there(rest: str) -> None:
    text = '{"a": "x", "b": "y\n```\nIn full: ' + rest

    assert text[read(text, 0).end :].startswith("```\nIn full")


@pytest.mark.parametrize(
    "text",
    [
        "{'a': [1.5e3, True], \"b\": 'it's', “c”: /* no */ {d: null}, // last\n 'e': -7}",
        '[{"a": "\\u00e9"}, -0.5]',
    ],
)
def test_a_text_that_is_cut_anywhere_is_no_error(text: str) -> None:
    assert not read(text, 0).truncated

    for end in range(1, len(text)):
        assert read(text[:end], 0).truncated, text[:end]


@pytest.mark.parametrize(
    ("text", "reason", "position"),
    [
        ('{"a" 1}', "expected ':' after the key 'a'", 5),
        ('{"a": 1 "b": 2}', "expected ',' or '}', found '\"'", 8),
        ('{"a": [1 2]}', "expected ',' or ']', found '2'", 9),
        ('{"a": "x"b}', "expected ',' or '}', found 'b'", 9),
        ("{1: 2}", "expected a key, found '1'", 1),
        ('{"a": .}', "expected a value, found '.'", 6),
        ('{"a": maybe}', "expected a value, found 'maybe'", 6),
        ('{"a": }', "expected a value, found '}'", 6),
        ("{,}", "expected a key, found ','", 1),
        ('{"a": 007}', "expected ',' or '}', found '0'", 7),
        ('{"a": +1}', "expected a value, found '+'", 6),
        ('{"a": 1.2.3}', "expected ',' or '}', found '.'", 9),
        ('{"a": #fff, "b": 2\n}', "expected a value, found '#'", 6),
        ('{"a": //host/path\n}', "expected a value, found '/'", 6),
        ("[#1, 2\n]", "expected a value, found '#'", 1),
        ('{"a": ("x")}', "parentheses around one value are not a tuple", 6),
        ('{"a": "2"\nlong"}', "expected ',' or '}', found 'l'", 10),
        ('["a" "b"]', "expected ',' or ']', found '\"'", 5),
        ('{"a": [1\n}', "expected ',' or ']', found '}'", 9),
        ('{"a": ٣}', "expected a value, found '٣'", 6),
        ('{"a": 1e999}', "number too large", 6),
        ('{"a": ' + "9" * 5000 + "}", "number too long", 6),
        ("x", "expected '{' or '['", 0),
        ("[" * (MAX_DEPTH + 1), f"nested deeper than {MAX_DEPTH} levels", MAX_DEPTH),
    ],
)
def test_does_not_guess_at_content(text: str, reason: str, position: int) -> None:
    with pytest.raises(LenientJSONError) as caught:
        read(text, 0)

    assert (caught.value.reason, caught.value.position) == (reason, position)
    assert str(caught.value) == f"{reason} at offset {position}"


def test_tells_where_every_value_begins() -> None:
    positions = read('{"a": [10, {"b": 2}]}', 0).positions

    assert positions == {(): 0, ("a",): 6, ("a", 0): 7, ("a", 1): 11, ("a", 1, "b"): 17}


def test_reads_whatever_json_writes() -> None:
    value = {"quotes": "\"'“”‘’\\", "control": "\x00\x1f\x7f", "nested": [[], {}, [[0]]], "": "😀", "big": 2**80}

    for ascii_only in (True, False):
        document = read(json.dumps(value, ensure_ascii=ascii_only), 0)
        assert (document.value, set(document.repairs)) == (value, set())
