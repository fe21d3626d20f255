"""What a run found, the baseline, and the comparison of two runs: paired by case, with an exact sign test."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb, sqrt
from pathlib import Path
from statistics import mean, variance
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError

from ai_base.evals.dataset import EvalError
from ai_base.evals.recordings import Reply
from ai_base.llm.commands.tables import money
from ai_base.llm.money import dollars

ALPHA = 0.05
"""Chance of a false alarm of one comparison, all its scores together."""
NOISE = 2.58
"""Standard errors within which 99 % of the differences between two runs of the same thing are."""

type Score = Annotated[float, Field(ge=0, le=1)]
type Verdict = Literal["same", "better", "worse", "within noise", "unclear"]


class ReportCase(BaseModel):
    """The outcome of one case."""

    scores: dict[str, Score] = {}
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
        said = hashlib.sha256("\0".join(sorted(reply.turns[-1].model_dump_json() for reply in replies)).encode())
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
    noise: dict[str, Score] = {}
    """Standard deviation of the mean of one run, by score; empty or 0 if it is not known."""
    runs: Annotated[int, Field(ge=1)] = 1
    """How many runs the scores are the means of."""
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
            reason = error.errors()[0]["msg"]
            raise EvalError(f"{path}: {reason}. Restore it with git; or delete it, then: make eval ACCEPT=1") from None

    @property
    def facts(self) -> dict[str, str]:
        """What a reader wants to know of the run."""
        cases = self.cases.values()
        return {
            "model": ", ".join(self.models),
            "prompt": ", ".join(f"{name} {version}" for name, version in self.prompts.items()),
            "cost": money(dollars(sum(case.cost for case in cases))),
            "latency": f"{mean(case.duration for case in cases):.2f} s",
            "tokens": f"{mean(case.output_tokens for case in cases):.0f}",
        }

    def write(self, path: Path) -> None:
        """Write it as a baseline."""
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def report_of(cases: Mapping[str, ReportCase]) -> EvaluationReport:
    """Make a report."""
    replies = [reply for case in cases.values() for reply in case.replies]
    models = sorted({reply.model for reply in replies})
    return EvaluationReport(models=models, prompts={each.prompt: each.version for each in replies}, cases=dict(cases))


def combine(reports: Sequence[EvaluationReport]) -> EvaluationReport:
    """Combine runs of the same thing: the mean of each score, and the noise between the runs."""
    if len(reports) == 1:
        return reports[0]
    combined = reports[0].model_copy(deep=True, update={"runs": len(reports)})
    for name, case in combined.cases.items():
        case.scores = {score: mean(each.cases[name].scores[score] for each in reports) for score in case.scores}
    for score in next(iter(combined.cases.values())).scores:
        spread = sum(variance([each.cases[name].scores[score] for each in reports]) for name in combined.cases)
        combined.noise[score] = sqrt(spread) / len(combined.cases)
    return combined


@dataclass(frozen=True)
class Comparison:
    """One score, before and after, over the cases that both runs have."""

    score: str
    before: float
    after: float
    better: tuple[str, ...]
    """Names of the cases."""
    worse: tuple[str, ...]
    noise: float
    """How far the means are apart by chance at most, in 99 of 100 comparisons; 0 if that is not known."""
    certain: bool
    """Whether a reply that is the same as before scores lower: there is no chance in it."""
    verdict: Verdict = "unclear"

    @property
    def p(self) -> float:
        """Chance of so many cases on one side if both sides were equally likely."""
        return sign_test(max(len(self.better), len(self.worse)), min(len(self.better), len(self.worse)))

    def judge(self, *, significant: bool) -> Verdict:
        """Return the verdict."""
        if self.certain:
            return "worse"
        if not self.better and not self.worse:
            return "same"
        if self.noise:
            change = self.after - self.before
            return "within noise" if abs(change) <= self.noise else "better" if change > 0 else "worse"
        if not significant:
            return "unclear"
        return "worse" if len(self.worse) > len(self.better) else "better"


def sign_test(more: int, fewer: int) -> float:
    """Return the exact chance that at least `more` of `more + fewer` fair coins fall on one given side."""
    total = more + fewer
    return sum(comb(total, count) for count in range(more, total + 1)) / (1 << total)


def compare(
    before: EvaluationReport, after: EvaluationReport, scores: Collection[str], tolerance: float = 0.0
) -> list[Comparison]:
    """Compare two runs case by case, score by score.

    A difference of the means is compared with the noise, where that is known. Otherwise the sign test decides at
    `ALPHA`, which the scores share by Holm's method: the smallest p may be `ALPHA` divided by their number, the next
    one `ALPHA` divided by one less, and so on.

    Raises:
        EvalError: The runs have no case in common.
    """
    if not (names := [name for name in after.cases if name in before.cases]):
        raise EvalError("the two runs have no case in common. Accept a new baseline: make eval ACCEPT=1")

    def compare_score(score: str) -> Comparison:
        now = {name: after.cases[name].scores[score] for name in names}
        then = {name: before.cases[name].scores.get(score, now[name]) for name in names}
        worse = tuple(name for name in names if now[name] < then[name] - tolerance)
        deviation = max(before.noise.get(score, 0.0), after.noise.get(score, 0.0))
        return Comparison(
            score=score,
            before=mean(then.values()),
            after=mean(now.values()),
            better=tuple(name for name in names if now[name] > then[name] + tolerance),
            worse=worse,
            noise=NOISE * deviation * sqrt(1 / before.runs + 1 / after.runs),
            certain=any(after.cases[name].said == before.cases[name].said for name in worse),
        )

    found = [compare_score(score) for score in scores]
    significant: set[str] = set()
    for each in sorted(found, key=lambda each: each.p):
        if each.p > ALPHA / (len(found) - len(significant)):
            break
        significant.add(each.score)
    return [replace(each, verdict=each.judge(significant=each.score in significant)) for each in found]
