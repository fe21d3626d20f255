"""The corpora of the scrubber: lines with something to hide, and lines with nothing."""

import re
from pathlib import Path

import pytest

CORPORA = Path(__file__).with_name("corpora")


def lines_of(name: str) -> list[str]:
    """Return the lines of a corpus; a line feed inside of one is written as ⏎."""
    text = (CORPORA / name).read_text(encoding="utf-8")
    return [line.replace("⏎", "\n").replace("¦", "") for line in text.splitlines()]


@pytest.fixture(scope="session")
def leaks() -> list[tuple[str, list[str]]]:
    """Lines with the secrets in them; ⟦ and ⟧ mark a secret, ¦ cuts a key that a scanner would take for a real one."""
    return [(re.sub("[⟦⟧]", "", line), re.findall("⟦(.*?)⟧", line, re.DOTALL)) for line in lines_of("leaks.txt")]


@pytest.fixture(scope="session")
def innocents() -> list[str]:
    """Lines that only look like one with a secret, and ordinary lines."""
    return [*lines_of("innocents.txt"), *lines_of("innocents_generated.txt")]
