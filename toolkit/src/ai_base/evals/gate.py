"""The checks against the committed baseline: of recorded replies, for tests; and of a few live ones, for drift."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ai_base.evals.dataset import Case, Dataset, EvalError, read_cases
from ai_base.evals.recordings import ReplyFile
from ai_base.evals.reports import Comparison, EvaluationReport, compare
from ai_base.evals.run import VALID, open_session

REPLIES, BASELINE, CASES = "replies.jsonl", "baseline.json", "cases.jsonl"
ACCEPT = "make eval ACCEPT=1"
VERBOSITY = "brevity"
LONGER = 0.2
"""Share by which the tokens of a reply may differ before it counts as longer or shorter."""


def gating(dataset: Dataset) -> list[str]:
    """Return the scores that decide."""
    return [VALID, *dataset.evaluators]


def is_recorded(dataset: Dataset) -> bool:
    """Whether there is anything to gate with: recorded replies, or a baseline."""
    return any((dataset.folder / name).exists() for name in (REPLIES, BASELINE))


async def problems(dataset: Dataset) -> list[str]:
    """Return what is worse than in the baseline, in sentences: for a test. Needs no key.

    Raises:
        EvalError: A request is not recorded, or there is no baseline for the cases that there are.
    """
    async with open_session(dataset, ReplyFile(dataset.folder / REPLIES)) as session:
        report = await session.run(read_cases(dataset.folder / CASES))
    path, scores = dataset.folder / BASELINE, gating(dataset)
    baseline = EvaluationReport.read(path)
    gaps = baseline and [name for name, case in baseline.cases.items() if not {*scores} <= {*case.scores}]
    if baseline is None or baseline.cases.keys() != report.cases.keys() or gaps:
        raise EvalError(f"{path} is not about the cases and scores that there are now. To accept: {ACCEPT}")
    return describe(compare(baseline, report, scores, dataset.tolerance))


def describe(comparisons: Sequence[Comparison]) -> list[str]:
    """Return a sentence for each score that is worse."""
    return [
        f"{each.score} fell from {each.before:.2f} to {each.after:.2f}: {len(each.worse)} cases are worse, "
        f"{len(each.better)} better (p = {each.p:.3f}); such as {', '.join(each.worse[:3])}"
        for each in comparisons
        if each.verdict == "worse"
    ]


async def drift(dataset: Dataset, cases: Sequence[Case], on_case: Callable[[], None]) -> list[str]:
    """Ask about some cases live; return what moved since the baseline was recorded, in sentences.

    Raises:
        EvalError: There is no baseline, or a case got no answer.
    """
    if (baseline := EvaluationReport.read(dataset.folder / BASELINE)) is None:
        raise EvalError(f"{dataset.folder / BASELINE} is missing. Accept one: {ACCEPT}")
    with TemporaryDirectory() as folder:
        async with open_session(dataset, ReplyFile(Path(folder, REPLIES)), live=True) as session:
            report = await session.run(cases, on_case)
    found = []
    if report.models != baseline.models:
        found.append(f"the model is {', '.join(report.models)}, and was {', '.join(baseline.models)}")
    for name, case in report.cases.items():
        if name in baseline.cases:
            then = baseline.cases[name]
            then.scores[VERBOSITY], case.scores[VERBOSITY] = 1, (then.output_tokens + 1) / (case.output_tokens + 1)
    comparisons = compare(baseline, report, gating(dataset), dataset.tolerance)
    [length] = compare(baseline, report, [VERBOSITY], LONGER)
    if length.verdict in ("worse", "better"):
        found.append(
            f"replies got {'longer' if length.verdict == 'worse' else 'shorter'}: {1 / length.after:.1f} times"
        )
    return found + describe(comparisons)
