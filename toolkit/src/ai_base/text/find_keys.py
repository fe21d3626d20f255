"""Finds keys in files, for a commit hook: `python -m ai_base.text.find_keys FILES...`.

It uses the scrubber's list of key forms. It prints `file:line: kind` for each key, never the key itself. Exit code 1
means that a key was found, 2 that a file cannot be read. A line that contains `allowlist secret` is skipped.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from ai_base.text.scrubbing.rules import RuleSet
from ai_base.text.scrubbing.secret_patterns import KEY_RULES

EXCEPTION = "allowlist secret"
"""A comment with these words allows the keys of its line; detect-secrets and others use the same."""


def find_keys(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and kind of each key in `text`."""
    lines = text.split("\n")
    found = set()
    for rule, start in RuleSet(KEY_RULES).finds(text):
        line = text.count("\n", 0, start) + 1
        if EXCEPTION not in lines[line - 1]:
            found.add((line, rule.name))
    yield from sorted(found)


def main(names: list[str]) -> int:
    """Search the files, print what was found, and return the exit code."""
    code = 0
    for name in names:
        try:
            content = Path(name).read_bytes()
        except OSError as error:
            print(f"{name}: {error.strerror}", file=sys.stderr)  # noqa: T201
            return 2
        if b"\0" in content:  # not a text
            continue
        for line, kind in find_keys(content.decode("utf-8", "replace")):
            print(f"{name}:{line}: {kind}")  # noqa: T201
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
