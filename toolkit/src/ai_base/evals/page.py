"""One self-contained HTML page of a comparison: what got better, what got worse, both answers side by side."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from pydantic_core import to_json

from ai_base.evals.reports import Comparison, EvaluationReport
from ai_base.llm.commands.tables import money
from ai_base.llm.money import dollars
from ai_base.text.invisible import remove_invisible

# Everything that a model or a case says is escaped where it is put into the page.
_PAGE = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)

ALIKE = 0.5
"""Share that two answers have in common, below which all of both counts as different."""

type Piece = tuple[bool, str]
"""Whether a piece of an answer differs from the other answer, and its text."""


@dataclass(frozen=True)
class Change:
    """A case whose score changed."""

    name: str
    moved: list[tuple[str, float, float]]
    """Scores, before and after."""
    before: list[Piece]
    after: list[Piece]


def page(title: str, before: EvaluationReport, after: EvaluationReport, found: Sequence[Comparison]) -> str:
    """Write the page."""
    worse = dict.fromkeys(name for each in found for name in each.worse)
    better = dict.fromkeys(name for each in found for name in each.better if name not in worse)
    template = _PAGE.from_string((files("ai_base.evals") / "page.html").read_text(encoding="utf-8"))
    groups = [
        (label, [_change(name, before, after) for name in names])
        for label, names in (("worse", worse), ("better", better))
    ]
    return template.render(title=title, comparisons=found, groups=groups, sides=[_side(before), _side(after)]) + "\n"


def _side(report: EvaluationReport) -> dict[str, str]:
    """Return the facts of one run."""
    cases = list(report.cases.values())
    return {
        "model": ", ".join(report.models),
        "prompt": ", ".join(f"{name} {version}" for name, version in report.prompts.items()),
        "cost": money(dollars(sum(case.cost for case in cases))),
        "latency": f"{sum(case.duration for case in cases) / len(cases):.2f} s",
        "tokens": f"{sum(case.output_tokens for case in cases) / len(cases):.0f}",
    }


def _change(name: str, before: EvaluationReport, after: EvaluationReport) -> Change:
    then, now = before.cases[name], after.cases[name]
    moved = [(score, then.scores.get(score, 0.0), value) for score, value in now.scores.items()]
    texts = [_words(case.output) for case in (then, now)]
    return Change(
        name, [each for each in moved if each[1] != each[2]], list(_marked(*texts)), list(_marked(*texts[::-1]))
    )


def _words(output: object) -> list[str]:
    text = output if isinstance(output, str) else to_json(output, indent=2).decode()
    return re.findall(r"\w+|\W", remove_invisible(text))


def _marked(words: list[str], other: list[str]) -> Iterator[Piece]:
    matcher = SequenceMatcher(None, words, other, autojunk=False)
    if matcher.ratio() < ALIKE:
        yield True, "".join(words)
        return
    for kind, start, end, _, _ in matcher.get_opcodes():
        if text := "".join(words[start:end]):
            yield kind != "equal", text
