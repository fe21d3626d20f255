"""One self-contained HTML page of a comparison: what got better, what got worse, both answers side by side."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from pydantic_core import to_json

from ai_base.evals.reports import Comparison, EvaluationReport
from ai_base.text.invisible import remove_invisible

# Everything that a model or a case says is escaped where it is put into the page.
_PAGE = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)

ALIKE = 0.5
"""Share that two answers have in common, below which all of both counts as different."""
LONGEST = 10_000
"""Words and signs of an answer beyond which all of it counts as different: a comparison takes the square of them."""

type Pieces = list[tuple[bool, str]]
"""An answer in pieces: whether each differs from the other answer, and its text."""


def page(title: str, before: EvaluationReport, after: EvaluationReport, found: Sequence[Comparison]) -> str:
    """Write the page."""
    worse = dict.fromkeys(name for each in found for name in each.worse)
    better = dict.fromkeys(name for each in found for name in each.better if name not in worse)
    template = _PAGE.from_string((files("ai_base.evals") / "page.html").read_text(encoding="utf-8"))
    names = {"worse": worse, "better": better}
    groups = {label: [_change(name, before, after) for name in each] for label, each in names.items()}
    return template.render(title=title, comparisons=found, groups=groups, sides=[before.facts, after.facts]) + "\n"


def _change(name: str, before: EvaluationReport, after: EvaluationReport) -> dict[str, Any]:
    """Return what changed in a case: its scores, and the pieces of both answers."""
    then, now = before.cases[name], after.cases[name]
    both = [(score, then.scores.get(score, value), value) for score, value in now.scores.items()]
    pieces = dict(zip(("before", "after"), compare_texts(_words(then.output), _words(now.output)), strict=True))
    return {"name": name, "moved": [each for each in both if each[1] != each[2]], **pieces}


def _words(output: object) -> list[str]:
    text = output if isinstance(output, str) else to_json(output, indent=2).decode()
    return re.findall(r"\w+|\W", remove_invisible(text))


def compare_texts(before: Sequence[str], after: Sequence[str]) -> tuple[Pieces, Pieces]:
    """Cut two answers, each a list of words and signs, into what they have in common and what not."""
    matcher = SequenceMatcher(None, before, after)
    if max(len(before), len(after)) > LONGEST or matcher.ratio() < ALIKE:
        return [(True, "".join(before))], [(True, "".join(after))]
    codes = matcher.get_opcodes()
    return (
        [(kind != "equal", "".join(before[start:end])) for kind, start, end, _, _ in codes],
        [(kind != "equal", "".join(after[start:end])) for kind, _, _, start, end in codes],
    )
