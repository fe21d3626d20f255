"""Scorers, the sign test, noise and the verdicts: numbers that were worked out by hand."""

from decimal import Decimal
from typing import Any

import pytest

from ai_base.evals import Case, EvalError, Evaluator, EvaluatorContext
from ai_base.evals import evaluators as score
from ai_base.evals.page import LONGEST, compare_texts
from ai_base.evals.reports import Comparison, EvaluationReport, ReportCase, combine, compare, sign_test


def context(output: Any, expected: Any, **facts: Any) -> EvaluatorContext:
    known = {"cost": Decimal("0.02"), "duration": 1.5, "output_tokens": 40, "gateway": None, **facts}
    return EvaluatorContext(Case(name="x", inputs={}, expected=expected), output, **known)


PARTS = {"category": "bug", "urgency": 4, "summary": "It Crashes."}


@pytest.mark.parametrize(
    ("scorer", "output", "expected", "value"),
    [
        (score.exact, PARTS, PARTS, 1),
        (score.exact, PARTS, {**PARTS, "urgency": 3}, 0),
        (score.exact, (1, 2), [1, 2], 1),
        (score.fields(), PARTS, {"category": "bug", "urgency": 3}, 0.5),
        (score.fields("category"), PARTS, {"category": "bug", "urgency": 3}, 1),
        (score.fields("gone"), PARTS, {"gone": 1}, 0),
        (score.contains(), "It Crashes.", "crash", 1),
        (score.contains("summary"), PARTS, {"summary": "freezes"}, 0),
        (score.within(1), 4.5, 5, 1),
        (score.within(1, "urgency"), PARTS, {"urgency": 2}, 0),
        (score.fields("category"), "category", {"category": "bug"}, 0),
        (score.fields("category"), 5, {"category": "bug"}, 0),
        (score.contains("summary"), {}, {"summary": "no"}, 0),
        (score.within(1, "urgency"), {"urgency": "high"}, {"urgency": 2}, 0),
        (score.within(1, "urgency"), {"urgency": 10**400}, {"urgency": 2}, 0),
        (score.within(1), Decimal("4.5"), 5, 1),
        (score.within(1), float("nan"), 5, 0),
        (score.recall_at(2), ["a", "b", "c"], ["b", "c"], 0.5),
        (score.recall_at(3), ["a", "b", "c"], ["b", "c"], 1),
        (score.recall_at(1, lambda output: output["found"]), {"found": ["a"]}, ["a"], 1),
        (score.citations_exact(lambda pairs: pairs), [("It  costs\n12 euros.", "costs 12"), ("It", "free")], None, 0.5),
        (score.citations_exact(lambda pairs: pairs), [("It", "")], None, 0),
        (score.max_cost(0.02), "", None, 1),
        (score.max_cost(0.01), "", None, 0),
        (score.max_duration(1.5), "", None, 1),
        (score.max_duration(1.4), "", None, 0),
        (score.max_output_tokens(40), "", None, 1),
        (score.max_output_tokens(39), "", None, 0),
    ],
)
def test_a_scorer_scores(scorer: Evaluator, output: Any, expected: Any, value: float) -> None:
    assert scorer(context(output, expected)) == value


@pytest.mark.parametrize(
    ("more", "fewer", "p"), [(0, 0, 1), (1, 0, 0.5), (5, 0, 1 / 32), (9, 1, 11 / 1024), (10, 10, 0.588099)]
)
def test_the_sign_test_is_exact(more: int, fewer: int, p: float) -> None:
    assert sign_test(more, fewer) == pytest.approx(p, abs=1e-6)


def report(*scores: float, said: str = "then", noise: float = 0.0, name: str = "right") -> EvaluationReport:
    """A run with one case for each score."""
    facts: dict[str, Any] = {"output": "", "input_tokens": 1, "output_tokens": 1, "cost": 0, "duration": 0}
    cases = {str(number): ReportCase(scores={name: each}, said=said, **facts) for number, each in enumerate(scores)}
    return EvaluationReport(models=["m"], prompts={}, noise={name: noise}, cases=cases)


def only(before: EvaluationReport, after: EvaluationReport, tolerance: float = 0.0) -> Comparison:
    [found] = compare(before, after, ["right"], tolerance)
    return found


@pytest.mark.parametrize(
    ("worse", "better", "verdict"),
    [(0, 0, "same"), (4, 0, "unclear"), (5, 0, "worse"), (0, 5, "better"), (8, 2, "unclear"), (9, 1, "worse")],
)
def test_the_sign_test_decides_where_replies_are_new(worse: int, better: int, verdict: str) -> None:
    before = report(*[1] * worse, *[0] * better, *[1] * 20)
    after = report(*[0] * worse, *[1] * better, *[1] * 20, said="now")

    found = only(before, after)

    assert (len(found.worse), len(found.better), found.verdict) == (worse, better, verdict)


def test_the_same_reply_with_a_lower_score_is_worse_at_once() -> None:
    assert only(report(1, 1), report(0, 1)).verdict == "worse"
    assert only(report(0, 1), report(1, 1)).verdict == "unclear"


def test_a_difference_within_the_noise_is_called_that() -> None:
    before, after = report(*[1] * 50), report(*[0] * 6, *[1] * 44, said="now")

    assert only(before, after).verdict == "worse"
    before.noise["right"] = 0.033  # 2.58 * sqrt(2) of it are 0.1204
    assert only(before, after).verdict == "within noise"
    before.noise["right"] = 0.0328  # 0.1197
    assert only(before, after).verdict == "worse"


def test_scores_within_the_tolerance_are_equal() -> None:
    before, after = report(*[0.9] * 6), report(*[0.8] * 6, said="now")

    assert only(before, after, tolerance=0.11).verdict == "same"
    assert only(before, after, tolerance=0.09).verdict == "worse"


def test_scores_share_the_level() -> None:
    """Six of six is enough for one score, and not for one of four; but it is if another one is certain (Holm)."""

    def run(**drops: int) -> tuple[EvaluationReport, EvaluationReport]:
        before, after = report(*[1] * 12), report(*[1] * 12, said="now")
        for number in range(12):
            for name, count in drops.items():
                before.cases[str(number)].scores[name] = 1
                after.cases[str(number)].scores[name] = float(number >= count)
        return before, after

    def verdicts(**drops: int) -> list[str]:
        return [each.verdict for each in compare(*run(**drops), list(drops))]

    assert verdicts(a=6) == ["worse"]
    assert verdicts(a=6, b=0, c=0, d=0) == ["unclear", "same", "same", "same"]
    assert verdicts(a=6, b=8, c=0, d=0) == ["worse", "worse", "same", "same"]


def test_where_noise_is_known_a_difference_beyond_it_is_found_with_fewer_cases() -> None:
    before, after = report(*[1] * 50, noise=0.01), report(*[0] * 3, *[1] * 47, said="now")

    assert only(before, after).verdict == "worse"
    assert only(report(*[0] * 50, noise=0.01), report(*[1] * 3, *[0] * 47, said="now")).verdict == "better"
    after.runs = before.runs = 4
    before.noise["right"] = 0.033  # halved by four runs
    assert only(before, after).verdict == "within noise"
    after.runs = before.runs = 5
    assert only(before, after).verdict == "worse"


def test_repeated_runs_give_means_and_the_noise_of_one_run() -> None:
    runs = [report(1, 1, 0, 1), report(1, 0, 0, 1), report(1, 1, 0, 1)]

    combined = combine(runs)

    assert [case.scores["right"] for case in combined.cases.values()] == pytest.approx([1, 2 / 3, 0, 1])
    assert combined.noise["right"] == pytest.approx(0.144338, abs=1e-6)  # one case has the variance 1/3: its root / 4
    assert combined.runs == 3
    assert combine(runs[:1]).noise == {"right": 0}


def test_a_score_that_only_the_second_run_has_is_the_same() -> None:
    [found] = compare(report(1, name="other"), report(0.5), ["right"])

    assert (found.before, found.after, found.verdict) == (0.5, 0.5, "same")


def test_answers_are_cut_into_what_they_share_and_what_not() -> None:
    words = [f"w{number}" for number in range(LONGEST)]

    assert compare_texts(["a", " ", "b"], ["a", " ", "c"]) == (
        [(False, "a "), (True, "b")],
        [(False, "a "), (True, "c")],
    )
    assert compare_texts(["a"], ["b"]) == ([(True, "a")], [(True, "b")])
    assert compare_texts(words, words)[0] == [(False, "".join(words))]
    assert compare_texts([*words, "x"], words)[1] == [(True, "".join(words))]


def test_runs_without_a_common_case_cannot_be_compared() -> None:
    with pytest.raises(EvalError, match="no case in common"):
        compare(report(1), EvaluationReport(models=[], prompts={}, cases={}), ["right"])
