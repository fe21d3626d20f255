"""What a run found, the baseline, and the comparison of two runs: paired by case, with an exact sign test."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import comb, sqrt
from pathlib import Path
from statistics import mean, median, variance
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError

from ai_base.evals.cases import EvalError
from ai_base.evals.recordings import Reply

ALPHA = 0.05
"""Chance of a false alarm of one comparison, all its scores together."""
NOISE = 1.96
"""Standard errors within which 95 % of the differences between two runs of the same thing are."""

type Verdict = Literal["same", "better", "worse", "within noise", "unclear"]


class ReportCase(BaseModel):
    """The outcome of one case."""

    scores: dict[str, float] = {}
    output: Any
    """In the types of JSON; a text that says why, if there is none."""
    said: str
    """Hash of the replies: equal if the model said the same."""
    input_tokens: int
    output_tokens: int
    cost: int
    """Nanodollars."""
    duration: float
    """Seconds."""
    replies: list[Reply] = Field(default=[], exclude=True)

    @classmethod
    def of(cls, replies: Sequence[Reply], output: object) -> Self:
        """Add up the replies."""
        said = hashlib.sha256("\0".join(reply.turns[-1].model_dump_json() for reply in replies).encode())
        return cls(
            output=output,
            said=said.hexdigest()[:12],
            input_tokens=sum(reply.input_tokens for reply in replies),
            output_tokens=sum(reply.output_tokens for reply in replies),
            cost=sum(reply.cost for reply in replies),
            duration=round(sum(reply.duration for reply in replies), 3),
        )


class EvaluationReport(BaseModel):
    """The outcome of a run. The baseline is one that was accepted."""

    models: list[str]
    """As the provider reports them."""
    prompts: dict[str, str]
    """Their versions."""
    noise: dict[str, float] = {}
    """By score: how far the means of two runs of the same thing are apart by chance, at most, in 95 of 100 cases."""
    cases: dict[str, ReportCase]

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read a baseline; None if there is none.

        Raises:
            EvalError: It is broken.
        """
        try:
            return cls.model_validate_json(path.read_bytes()) if path.exists() else None
        except ValidationError as error:
            raise EvalError(
                f"{path}: {error.errors()[0]['msg']}. Restore it with git, or: make eval ACCEPT=1"
            ) from None

    def write(self, path: Path) -> None:
        """Write it as a baseline."""
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def report_of(cases: Mapping[str, ReportCase]) -> EvaluationReport:
    """Make a report."""
    replies = [reply for case in cases.values() for reply in case.replies]
    models = sorted({reply.model for reply in replies})
    return EvaluationReport(models=models, prompts={each.prompt: each.version for each in replies}, cases=dict(cases))


def combine(reports: Sequence[EvaluationReport]) -> EvaluationReport:
    """Combine runs of the same thing: the median of each score, and the noise between the runs."""
    combined, runs = reports[0].model_copy(deep=True), len(reports)
    for name, case in combined.cases.items():
        case.scores = {score: median(each.cases[name].scores[score] for each in reports) for score in case.scores}
    if runs > 1:
        for score in next(iter(combined.cases.values())).scores:
            spread = sum(variance([each.cases[name].scores[score] for each in reports]) for name in combined.cases)
            combined.noise[score] = NOISE * sqrt(spread * (1 + 1 / runs)) / len(combined.cases)
    return combined


@dataclass(frozen=True)
class Comparison:
    """One score, before and after."""

    score: str
    before: float
    after: float
    better: tuple[str, ...]
    """Names of the cases."""
    worse: tuple[str, ...]
    p: float
    """Chance of so many cases on one side if both sides were equally likely."""
    verdict: Verdict


def sign_test(more: int, fewer: int) -> float:
    """Return the exact chance that at least `more` of `more + fewer` fair coins fall on one given side."""
    total = more + fewer
    return sum(comb(total, count) for count in range(more, total + 1)) / 2**total


def compare(
    before: EvaluationReport, after: EvaluationReport, scores: Collection[str], tolerance: float = 0.0
) -> list[Comparison]:
    """Compare the cases that both reports have, score by score.

    A drop of a case whose replies are the same is worse at once: there is no chance in it. Otherwise the sign test
    decides, at `ALPHA` divided by the number of scores; a difference of the means within the noise is called that.
    """
    names = [name for name in after.cases if name in before.cases]
    if not names:
        raise EvalError("the two runs have no case in common. Accept a new baseline: make eval ACCEPT=1")
    return [_compare(score, before, after, names, tolerance, ALPHA / len(scores)) for score in scores]


def _compare(  # noqa: PLR0913, PLR0917
    score: str, before: EvaluationReport, after: EvaluationReport, names: list[str], tolerance: float, alpha: float
) -> Comparison:
    change = {name: after.cases[name].scores[score] - before.cases[name].scores.get(score, 0.0) for name in names}
    better = tuple(name for name in names if change[name] > tolerance)
    worse = tuple(name for name in names if change[name] < -tolerance)
    p = sign_test(max(len(better), len(worse)), min(len(better), len(worse)))
    noise = max(before.noise.get(score, 0.0), after.noise.get(score, 0.0))
    verdict: Verdict = "worse" if len(worse) > len(better) else "better"
    if any(after.cases[name].said == before.cases[name].said for name in worse):
        verdict = "worse"
    elif not better and not worse:
        verdict = "same"
    elif abs(mean(change.values())) <= noise:
        verdict = "within noise"
    elif p > alpha:
        verdict = "unclear"
    now = mean(after.cases[name].scores[score] for name in names)
    return Comparison(score, now - mean(change.values()), now, better, worse, p, verdict)
