"""Runs the code blocks of a page of the documentation, from top to bottom, as a reader would in a project.

- `console`: lines that begin with `$` are typed; the other lines must be printed, in this order. `...` is anything.
- `python`: run, with `await` allowed at top level; a `text` block right below it is what it must print.
- a block with a title is a file of that name. It is written; `toml` for `config/llm.toml` replaces the tables that it
  names, and the configuration is loaded. `.env`, and a file whose title ends with `(end)`, get it at their end.
- `<!-- not run: reason -->` above a block: it is shown only.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from doc_python import Python
from harness import run

FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?"
    r"```(?P<language>\w*)(?: title=\"(?P<title>[^\"\n]+)\")?\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
TYPED = re.compile(r"^\$ ((?:.*\\\n)*.*)$", re.MULTILINE)
RUN, WRITTEN = {"console", "python", "text"}, {"python", "toml", "ini", "json", "markdown", "yaml"}
TABLE = re.compile(r"^(?=\[)", re.MULTILINE)
LOAD = "from ai_base.llm.configuration.project_files import load_config\nload_config()"


@dataclass(frozen=True)
class Block:
    """One code block."""

    place: str
    language: str
    title: str
    text: str
    reason: str
    """Why it cannot be run here; empty if it can."""


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page.

    Raises:
        ValueError: A block is written in a way that this module does not know.
    """
    text = page.read_text("utf-8")
    found = []
    for match in FENCE.finditer(text):
        place = f"{page.name}:{text.count('\n', 0, match.start()) + 1}"
        found.append(Block(place, match["language"], match["title"] or "", match["text"], match["reason"] or ""))
        if not match["reason"] and match["language"] not in (WRITTEN if match["title"] else RUN):
            raise ValueError(f"{place}: nobody could run this block. Which language or file is it?")
    if len(re.findall("^ *(```|~~~)", text, re.MULTILINE)) != 2 * len(found):
        raise ValueError(f"{page}: a code block is indented, or its first line is not understood")
    return found


@dataclass
class Session:
    """A reader's shell: its folder, its variables and a Python."""

    folder: Path
    env: dict[str, str]
    replaced: dict[str, str] = field(default_factory=dict)
    """What is typed or written in place of what a page says, such as an address."""
    python: Python | None = None
    """By default one of the project in the folder, for each block."""

    def follow(self, blocks: list[Block]) -> None:
        """Run the blocks of a page.

        Raises:
            AssertionError: A block fails, or prints something else.
        """
        printed = ""
        for block in blocks:
            try:
                if block.reason:
                    continue
                if block.title:
                    self._write(block)
                elif block.language == "console":
                    self._type(block.text)
                elif block.language == "python":
                    printed = self._run(block.text)
                else:
                    check_printed(block.text, printed)
            except AssertionError as error:
                raise AssertionError(f"{block.place}: {error}") from error

    def _type(self, text: str) -> None:
        """Type the commands of a block into one shell, and compare what each prints."""
        _, *parts = TYPED.split(self._replace(text))
        typed = "".join(f"{command}\ncode=$?; echo; echo END $code\n" for command in parts[::2])
        printed = run("bash", "-c", f"{typed}pwd", cwd=self.folder, env=self.env).stdout
        *outcomes, here = re.split(r"^END (\d+)\n", printed, flags=re.MULTILINE)
        for command, expected, output, code in zip(parts[::2], parts[1::2], outcomes[::2], outcomes[1::2], strict=True):
            assert code == "0", f"{command} ended with {code}:\n{output}"
            check_printed(expected, output)
        self.folder = Path(here.strip())

    def _run(self, source: str) -> str:
        if self.python:
            return self.python.run(source, self.folder, self.env)
        with Python(self.folder) as python:
            return python.run(source, self.folder, self.env)

    def _write(self, block: Block) -> None:
        name, _, end = block.title.partition(" (")
        text, file = self._replace(block.text), self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        before = file.read_text("utf-8") if file.exists() else ""
        if name == "config/llm.toml":
            file.write_text(replace_tables(before, text), encoding="utf-8")
            self._run(LOAD)
        else:
            file.write_text(f"{before}\n{text}" if end or name == ".env" else text, encoding="utf-8")

    def _replace(self, text: str) -> str:
        for shown, real in self.replaced.items():
            text = text.replace(shown, real)
        return text


def replace_tables(text: str, new: str) -> str:
    """Replace the tables of a TOML file that a block names, and add the others at the end."""
    tables = {part.partition("\n")[0]: part for part in TABLE.split(text)}
    tables |= {part.partition("\n")[0]: f"{part.rstrip()}\n\n" for part in TABLE.split(new) if part}
    return "".join(tables.values())


def check_printed(expected: str, printed: str) -> None:
    """Compare line by line; numbers of spaces do not count.

    Raises:
        AssertionError: A line is missing, or another one is in its place.
    """
    lines = [" ".join(line.split()) for line in expected.splitlines() if line.strip()]
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else f"{re.escape(line)}\n" for line in lines)
    got = "".join(f"{' '.join(line.split())}\n" for line in printed.splitlines() if line.strip())
    matches = not lines or re.fullmatch(pattern.replace(r"\.\.\.", ".*"), got)
    assert matches, f"expected:\n{expected}\nprinted:\n{printed}"
