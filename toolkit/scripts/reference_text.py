"""How a page of the reference is written: Markdown."""

from collections.abc import Iterable, Sequence

NOTE = "<!-- Written by toolkit/scripts/write_reference.py: change the code, not this page. -->\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines) + "\n"


def page(title: str, *parts: str) -> str:
    """Write a page."""
    return "\n".join([NOTE, f"# {title}\n", *parts])


def first_line(text: str | None, owner: str) -> str:
    """Return the first paragraph of a docstring as one line.

    Raises:
        SystemExit: There is none.
    """
    if not text or not text.strip():
        raise SystemExit(f"{owner} has no docstring or help: the reference would have nothing to say about it")
    return " ".join(text.strip().split("\n\n")[0].split())
