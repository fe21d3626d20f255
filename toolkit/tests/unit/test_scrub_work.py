"""Hostile text costs the scrubber no more steps a character than any other text."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ai_base.text import scrub as scrub_module
from ai_base.text.scrub import scrub
from ai_base.text.scrubbing import named_values
from ai_base.text.scrubbing.names_of_secrets import Name
from ai_base.text.scrubbing.values import Value

JWT = ".".join(["eyJ" + "hbGciOiJIUzI1NiJ9", "eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0", "abcDEF123-_abcDEF"])
PEM = "-----BEGIN RSA {0} KEY-----\nMIIEpAIB\nAAKCAQ==\n-----END RSA {0} KEY-----".format("PRIVATE")

HOSTILE = [
    "1",
    "a",
    "- ",
    "+1 ",
    "a@a@a@",
    "a@a.",
    "DE89 ",
    "4111 ",
    "1:",
    "::",
    "1.",
    "0 1",
    "(555) ",
    "sk-",
    JWT + ".",
]
HOSTILE += [
    "eyJ",
    "password=",
    'password: "',
    "://a:",
    "\\",
    '\\"',
    '"',
    '{"',
    "[1,",
    "\x1b[",
    PEM[:31],
    "Bearer a",
    "%40",
]


HOSTILE += [
    "sk-x-",
    "xoxb-a-",
    "pass ",
    "password=*",
    "password: 'not ",
    "authorization: a b=c,",
    "cookie: a;",
    "<password>",
]
HOSTILE += [
    "('password','",
    "--token x ",
    "phone: 1",
    "loc': ('password') ",
    "curl -u ",
    "&#98;",
    "a'",
    "0012 ",
    "SG.a.",
]


class Counter:
    """Stands in for a compiled pattern and counts what it is asked and how far its matches reach."""

    def __init__(self, pattern: re.Pattern[str], counts: dict[str, int]) -> None:
        self.pattern, self.counts = pattern, counts

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.pattern, name)
        if name not in {"match", "search"}:
            return attribute

        def counted(text: str, at: int = 0) -> re.Match[str] | None:
            match: re.Match[str] | None = attribute(text, at)
            self.counts["calls"] += 1
            self.counts["characters"] += (match.end() if match else len(text)) - at if name == "search" else 0
            self.counts["characters"] += len(match[0]) if match and name == "match" else 0
            return match

        return counted


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What the rules do: patterns asked, characters that they pass over, checks, names and values looked at."""
    counts = dict.fromkeys(("calls", "characters", "checks", "names"), 0)

    def counting_check(check: Callable[[re.Match[str]], int]) -> Callable[[re.Match[str]], int]:
        def counted(match: re.Match[str]) -> int:
            counts["checks"] += 1
            return check(match)

        return counted

    def counting_find(name: Name) -> Value | None:
        counts["names"] += 1
        return find_value(name)

    find_value = named_values._find_value  # noqa: SLF001 - the place where each name passes
    monkeypatch.setattr(named_values, "_find_value", counting_find)
    for rules in (scrub_module.SECRETS, scrub_module.PERSONAL_DATA):
        counted_rules = [replace(rule, check=rule.check and counting_check(rule.check)) for rule in rules.rules]
        for rule in counted_rules:
            rule.__dict__["pattern"] = Counter(rule.pattern, counts)
        monkeypatch.setattr(rules, "rules", counted_rules)
    return counts


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_takes_linear_work(piece: str, counts: dict[str, int]) -> None:
    """The work is counted, not timed: eight times the text takes at most eight times the steps, and few a character."""

    def work(length: int) -> int:
        counts.update(dict.fromkeys(counts, 0))
        scrub((piece * length)[:length])
        return sum(counts.values())

    small, large = work(4_000), work(32_000)

    assert large <= 8 * small + 10_000
    assert large <= 60 * 32_000


def test_each_group_of_an_iban_is_checked_once(counts: dict[str, int]) -> None:
    for piece in ("DE89 ", "DE89 3704 0044 "):  # 95 kB of the first were once seconds of work
        text = (piece * 19_000)[:95_000]
        scrub(text)
        assert counts["checks"] <= 95_000 / len(piece) + 10

    assert counts["checks"] > 1_000
