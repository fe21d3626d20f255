"""Scorers. A case without a usable output is never scored: it has 0 everywhere."""

from collections.abc import Callable, Iterable
from typing import Any

from pydantic_core import to_jsonable_python

from ai_base.evals.dataset import Evaluator, EvaluatorContext


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
        output, wanted = plain(case.output), names or tuple(case.expected)
        equal = [name for name in wanted if name in output and output[name] == case.expected[name]]
        return len(equal) / len(wanted)

    return score


def contains(field: str = "") -> Evaluator:
    """Whether the output, or one field of it, holds the expected text; case does not count."""

    def score(case: EvaluatorContext) -> bool:
        return str(_part(case.expected, field)).lower() in str(_part(plain(case.output), field)).lower()

    return score


def within(tolerance: float, field: str = "") -> Evaluator:
    """Whether a number, or a field that holds one, differs from the expected one by no more than `tolerance`."""

    def score(case: EvaluatorContext) -> bool:
        return abs(float(_part(plain(case.output), field)) - float(_part(case.expected, field))) <= tolerance

    return score


def recall_at(k: int, found: Callable[[Any], Iterable[object]] = iter) -> Evaluator:
    """Score the share of the expected items among the first `k` that `found` takes from the output."""

    def score(case: EvaluatorContext) -> float:
        first = list(found(case.output))[:k]
        return sum(item in first for item in case.expected) / len(case.expected)

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


def _part(value: Any, field: str) -> Any:  # noqa: ANN401 - JSON
    return value[field] if field else value
