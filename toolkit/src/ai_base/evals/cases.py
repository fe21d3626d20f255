"""Cases: lines of JSON in `evals/<name>/cases.jsonl`."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ai_base.errors import AIBaseError

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
    if not path.is_file():
        raise EvalError(f"{path}: no such file. Write one case a line, such as: {EXAMPLE}")
    cases: dict[str, Case] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
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
        raise EvalError(f"{path}: it is empty. Write one case a line, such as: {EXAMPLE}")
    return list(cases.values())
