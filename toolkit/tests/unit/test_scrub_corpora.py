"""The scrubber finds every line of one corpus and leaves every line of the other as it is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai_base.text.scrub import scrub

# What the scrubber does not find, and why; the corpus has no line of these.
KNOWN_EXCEPTIONS = {
    "0301234567": "a national number without separators or a name in front could be any number",
    "hunter2": "a password alone is a word",
    "Ada Lovelace, 12 Main Street": "names and postal addresses have no form",
    "bob at example dot com": "spelled in words, it is prose",
}


def test_the_corpora_are_large_and_different() -> None:
    def lines_of(name: str) -> list[str]:
        return (Path(__file__).with_name("corpora") / name).read_text(encoding="utf-8").splitlines()

    assert len(set(lines_of("leaks.txt"))) >= 300
    assert len(set(lines_of("innocents.txt"))) >= 200
    assert len(set(lines_of("innocents_generated.txt"))) >= 100


def test_nothing_of_the_leaks_stays(leaks: list[tuple[str, list[str]]]) -> None:
    left = {line: scrub(line) for line, secrets in leaks if any(shows(scrub(line), secret) for secret in secrets)}

    assert all(secrets for _, secrets in leaks)
    assert left == {}


def shows(text: str, secret: str) -> bool:
    """Whether a text has eight characters in a row of a secret, or all of it."""
    return any(secret[at : at + 8] in text for at in range(max(1, len(secret) - 7)))


def test_innocent_lines_stay_as_they_are(innocents: list[str]) -> None:
    assert {line: scrub(line) for line in innocents if scrub(line) != line} == {}


@pytest.mark.parametrize("text", KNOWN_EXCEPTIONS)
def test_a_known_exception_is_still_left_unscrubbed(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize("depth", [json.dumps, lambda record: json.dumps({"inner": json.dumps(record)})])
def test_every_leak_is_found_in_a_line_of_json_too(
    depth: Callable[[Any], str], leaks: list[tuple[str, list[str]]]
) -> None:
    left = []
    for line, secrets in leaks:
        scrubbed = scrub(depth({"event": line, "n": 1}))
        json.loads(scrubbed)
        if any(shows(scrubbed, json.dumps(secret)[1:-1]) for secret in secrets):
            left.append(scrubbed)

    assert left == []


def test_innocent_lines_stay_in_json_too(innocents: list[str]) -> None:
    assert [line for line in innocents if json.loads(scrub(json.dumps({"event": line})))["event"] != line] == []
