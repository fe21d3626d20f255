"""What recorded evals cost next to importing pydantic-evals, and how often a comparison is wrong.

CPU time is the median of several processes that take turns. The recorded cases run in a process that has imported the
gateway, as a project's tests have. pydantic-evals needs a Python of its own:

    python benchmarks/evals.py --peer /path/to/venv/bin/python

The simulation needs no peer. A case has its own chance of a right answer; the mean chance that two runs of the same
thing differ in it is the noise. Two scores are simulated, and the drop is in one of them.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ai_base.evals import Dataset
from ai_base.evals.evaluators import fields
from ai_base.evals.gate import problems
from ai_base.evals.reports import EvaluationReport, ReportCase, combine, compare
from ai_base.llm import Gateway
from ai_base.logging import configure_logging

CASES, RUNS = 200, 5
REPETITIONS = 200
FALSE_ALARMS, FOUND = 0.05, 0.90
SCORES = ("first", "second")
CONFIG = """
[candidates.main]
model = "offline:"
[chains]
default = ["main"]
[budgets]
unlimited = true
[budgets.cost_centers.evals]
day = "1"
"""


# ---- CPU ----


async def ask(gateway: Gateway, inputs: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Ask as an application does."""
    return await gateway.ask("triage", inputs, output_type=dict[str, str])


DATASET = Dataset("triage", ask, {"response": fields()})


def child_seconds(*command: str, cwd: Path) -> float:
    """Return the CPU time of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "LOG_LEVEL": "ERROR", "DATABASE_URL": f"sqlite:///{cwd}/ledger.db"}
    subprocess.run(command, cwd=cwd, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure_cpu(peer: str) -> bool:
    """Compare a run of recorded cases with the import; return whether the goal is met."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config/prompts").mkdir(parents=True)
        (folder / "evals/triage").mkdir(parents=True)
        (folder / "config/llm.toml").write_text(CONFIG)
        (folder / "config/prompts/triage.md").write_text("Triage this ticket: {" + "{ ticket }}")
        cases = [{"name": f"{n}", "inputs": {"ticket": f"Ticket {n}. " * 20}, "expected": {}} for n in range(CASES)]
        lines = "".join(f"{json.dumps({**case, 'expected': {'x': 'y'}})}\n" for case in cases)
        (folder / "evals/triage/cases.jsonl").write_text(lines)
        ours = [sys.executable, __file__]
        child_seconds(*ours, "--record", cwd=folder)
        measured: dict[str, list[float]] = {"idle": [], "recorded": [], "import": []}
        for _ in range(RUNS):
            measured["idle"].append(child_seconds(*ours, "--idle", cwd=folder))
            measured["recorded"].append(child_seconds(*ours, "--recorded", cwd=folder))
            measured["import"].append(child_seconds(peer, "-c", "import pydantic_evals", cwd=folder))
        idle, whole, imported = (statistics.median(each) for each in measured.values())
    recorded = whole - idle
    print(f"{CASES} recorded cases:    {recorded:.2f} s of CPU, after {idle:.2f} s of imports")
    print(f"import pydantic_evals: {imported:.2f} s of CPU; the cases take {recorded / imported:.2f} of it")
    return recorded < imported


def record() -> None:
    """Record the cases of the folder, and accept them."""
    from ai_base.evals import actions  # noqa: PLC0415

    asyncio.run(actions.evaluate([DATASET], actions.Options(record=True, accept=True)))


# ---- Simulation ----


def chances(cases: int, noise: float, draw: random.Random) -> list[float]:
    """Return each case's chance of a right answer: a share of the cases is unsure, the others are nearly always right.

    An unsure case differs between two runs with the chance 2 p (1 - p), which is 0.4 on average for p in 0.2 to 0.8.
    """
    return [draw.uniform(0.2, 0.8) if draw.random() < noise / 0.44 else 1.0 for _ in range(cases)]


def simulate(chance: Sequence[Sequence[float]], draw: random.Random) -> EvaluationReport:
    """Return a run: every score of every case is 1 or 0."""
    facts: dict[str, Any] = {"output": "", "input_tokens": 1, "output_tokens": 1, "cost": 0, "duration": 0}
    cases = {}
    for number, row in enumerate(zip(*chance, strict=True)):
        scores = {name: float(draw.random() < p) for name, p in zip(SCORES, row, strict=True)}
        cases[str(number)] = ReportCase(scores=scores, said=str(draw.random()), **facts)
    return EvaluationReport(models=["m"], prompts={}, cases=cases)


def share_of_alarms(cases: int, noise: float, drop: float, repeat: int, seed: int) -> float:
    """Return how often a comparison says that something is worse."""
    alarms, draw = 0, random.Random(seed)  # noqa: S311 - a simulation
    for _ in range(REPETITIONS):
        before = [chances(cases, noise, draw) for _ in SCORES]
        sure = [number for number, p in enumerate(before[0]) if p == 1]
        fallen = {*draw.sample(sure, round(cases * drop))}
        after = [[0.0 if n in fallen else p for n, p in enumerate(before[0])], *before[1:]]
        then, now = (combine([simulate(each, draw) for _ in range(repeat)]) for each in (before, after))
        alarms += any(each.verdict == "worse" for each in compare(then, now, SCORES))
    return alarms / REPETITIONS


def measure_errors() -> bool:
    """Print how often comparisons are wrong; return whether the goals are met."""
    print("\nnoise  runs  false alarms, 200 cases  10 points found, 100 cases")
    met = True
    for noise in (0.0, 0.02, 0.05, 0.1, 0.27):
        for repeat in (1, 3, 5):
            false = share_of_alarms(200, noise, 0.0, repeat, seed=1)
            found = share_of_alarms(100, noise, 0.1, repeat, seed=2)
            print(f"{noise:5.2f}  {repeat:4}  {false:23.3f}  {found:26.3f}")
            met &= false <= FALSE_ALARMS and (found >= FOUND or repeat < 5)  # noqa: PLR2004 - noise takes repeats
    return met


def main() -> int:
    """Measure, and return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="a Python that has pydantic-evals")
    parser.add_argument("--record", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--recorded", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--idle", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    configure_logging("ERROR", "json")
    if given.idle:
        return 0
    if given.record:
        record()
        return 0
    if given.recorded:
        return len(asyncio.run(problems(DATASET)))
    met = measure_cpu(given.peer) if given.peer else True
    return 0 if measure_errors() and met else 1


if __name__ == "__main__":
    sys.exit(main())
