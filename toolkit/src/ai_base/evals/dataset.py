"""A dataset: cases, the code that is evaluated, and the scorers of its outputs."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_base.evals.cases import Case
from ai_base.settings import find_root

if TYPE_CHECKING:
    from ai_base.llm.gateway.gateway import Gateway

FOLDER = "evals"
"""In the project's root; it has a folder for each dataset."""


@dataclass(frozen=True)
class EvaluatorContext:
    """What a scorer sees of one case."""

    case: Case
    output: Any
    """What the code returned; of an `Answer`, its output."""
    cost: Decimal
    """US dollars."""
    duration: float
    """Seconds that the model took, as recorded."""
    output_tokens: int
    gateway: "Gateway"
    """For a judge: what it asks is recorded as well."""

    @property
    def expected(self) -> Any:  # noqa: ANN401 - as the file has it
        """What the case expects."""
        return self.case.expected


type Evaluator = Callable[[EvaluatorContext], float | Awaitable[float]]
"""Scores an output from 0 (useless) to 1 (as it should be). True is 1, False is 0."""

type Task = Callable[["Gateway", Mapping[str, Any]], Awaitable[Any]]
"""The code that is evaluated: it asks the gateway about the inputs of a case."""


@dataclass(frozen=True)
class Dataset:
    """An evaluation. Its files are in `evals/<name>/`: cases, recorded replies and the baseline."""

    name: str
    task: Task
    evaluators: Mapping[str, Evaluator]
    judges: Mapping[str, Evaluator] = field(default_factory=dict)
    """Scores that are shown and never gate, such as those that a model gives."""
    chain: str = "default"
    """The chain that is evaluated: its first candidate is asked, and no other one."""
    tolerance: float = 0.0
    """Two scores of a case that differ by no more count as equal."""

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return find_root() / FOLDER / self.name
