"""Scorers. A case without a usable output is never scored: it has 0 everywhere."""

from collections.abc import Callable, Iterable
from statistics import fmean
from typing import Any

from pydantic_core import to_jsonable_python

from ai_base.evals.dataset import EvalError, Evaluator, EvaluatorContext


def plain(output: object) -> Any:  # noqa: ANN401 - JSON
    """Return an output in the types of JSON, as cases have it."""
    return to_jsonable_python(output, serialize_unknown=True)


def exact(case: EvaluatorContext) -> bool:
    """Whether the output is what is expected."""
    return bool(plain(case.output) == case.expected)


def schema_valid(case: EvaluatorContext) -> bool:
    """Whether a reply fitted the output type: only then is there an output. The score `valid` of every dataset."""
    return case.output is not None


def fields(*names: str) -> Evaluator:
    """Score the share of the fields that are as expected. Without names: every field of `expected`."""

    def score(case: EvaluatorContext) -> float:
        pairs = [_pair(case, name) for name in names or case.expected]
        return fmean(said == expected for said, expected in pairs)

    return score


def contains(field: str = "") -> Evaluator:
    """Whether the output, or one field of it, holds the expected text; case does not count."""

    def score(case: EvaluatorContext) -> bool:
        said, expected = _pair(case, field)
        return said is not None and str(expected).lower() in str(said).lower()

    return score


def within(tolerance: float, field: str = "") -> Evaluator:
    """Whether a number, or a field that holds one, differs from the expected one by no more than `tolerance`."""

    def score(case: EvaluatorContext) -> bool:
        said, expected = _pair(case, field)
        limits = float(expected) - tolerance, float(expected) + tolerance
        try:
            return limits[0] <= float(said) <= limits[1]
        except (TypeError, ValueError, OverflowError):  # the model said something else than a number
            return False

    return score


def recall_at(k: int, found: Callable[[Any], Iterable[object]] = iter) -> Evaluator:
    """Score the share of the expected items among the first `k` that `found` takes from the output."""

    def score(case: EvaluatorContext) -> float:
        first = list(found(case.output))[:k]
        return fmean(item in first for item in case.expected)

    return score


def citations_exact(quotes: Callable[[Any], Iterable[tuple[str, str]]]) -> Evaluator:
    """Score the share of quotes that stand word for word in their text; `quotes` returns pairs of text and quote."""

    def score(case: EvaluatorContext) -> float:
        pairs = [(" ".join(text.split()), " ".join(quote.split())) for text, quote in quotes(case.output)]
        return sum(bool(quote) and quote in text for text, quote in pairs) / max(1, len(pairs))

    return score


def max_cost(dollars: float) -> Evaluator:
    """Whether the case cost no more than this."""
    return lambda case: float(case.cost) <= dollars


def max_duration(seconds: float) -> Evaluator:
    """Whether the model took no longer than this, when it was recorded."""
    return lambda case: case.duration <= seconds


def max_output_tokens(tokens: int) -> Evaluator:
    """Whether the model wrote no more than this."""
    return lambda case: case.output_tokens <= tokens


def _pair(case: EvaluatorContext, field: str) -> tuple[Any, Any]:
    """Return the output and what is expected, or this field of both; None if the output has no such field.

    Raises:
        EvalError: The case expects nothing for the field.
    """
    output, expected = plain(case.output), case.expected
    if not field:
        return output, expected
    if not isinstance(expected, dict) or field not in expected:
        raise EvalError(f"case {case.case.name!r}: a scorer needs {field!r} in what the case has as `expected`")
    return output.get(field) if isinstance(output, dict) else None, expected[field]
