"""A dataset: cases, the code that is evaluated, and the scorers of its outputs."""

from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ai_base.errors import AIBaseError
from ai_base.settings import find_root

if TYPE_CHECKING:
    from ai_base.llm.gateway.gateway import Gateway

FOLDER = "evals"
"""In the project's root; it has a folder for each dataset."""

EXAMPLE = '{"name": "late", "inputs": {"ticket": "It is late."}, "expected": {"category": "other"}, "labels": {}}'


class EvalError(AIBaseError):
    """An evaluation cannot be run, or has no result. The message says what to do."""


class Case(BaseModel):
    """What is put in, and what should come out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1)]
    inputs: dict[str, Any]
    expected: Any = None
    """Whatever the scorers compare with; `expected_output` of pydantic-evals."""
    labels: dict[str, Any] = {}
    """Facts about the case, such as its language; `metadata` of pydantic-evals."""


def read_cases(path: Path) -> list[Case]:
    """Read the cases of a file, in its order.

    Raises:
        EvalError: The file is missing or empty, or a line is wrong; the message names file and line.
    """
    text = path.read_bytes().removeprefix(BOM_UTF8) if path.is_file() else b""
    cases: dict[str, Case] = {}
    for number, line in enumerate(text.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            case = Case.model_validate_json(line)
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            key = ".".join(map(str, detail["loc"])) or "the line"
            raise EvalError(f"{path}:{number}: {key}: {detail['msg']}. Write it as in: {EXAMPLE}") from None
        if case.name in cases:
            raise EvalError(f"{path}:{number}: another case is called {case.name!r}. Give each a name of its own")
        cases[case.name] = case
    if not cases:
        raise EvalError(f"{path}: there are no cases. Write one a line, such as: {EXAMPLE}")
    return list(cases.values())


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
