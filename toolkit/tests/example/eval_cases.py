"""What the tests of evals evaluate: the triage of tickets by a provider on this machine, which has moods."""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from example_app import Triage
from typer.testing import Result

from ai_base.evals import Dataset, EvaluatorContext
from ai_base.evals.evaluators import fields, within
from ai_base.evals.gate import problems
from ai_base.llm import Answer, Gateway
from ai_base.testing.loopback import Reply

WORDS = {"charged": "billing", "crashes": "bug", "how": "question"}
FOLDER = Path("evals/triage")
CONFIG = """
[candidates.main]
model = "openai-chat:small"
base_url = "{url}"
api_key_env = "PROVIDER_KEY"
price = {{ input = "1", output = "2" }}
[candidates.other]
model = "openai-chat:other"
base_url = "{url}"
api_key_env = "PROVIDER_KEY"
price = {{ input = "1", output = "2" }}
[chains]
default = ["main", "other"]
[retry]
attempts = 3
base_delay = 0.001
[budgets]
overall = {{ day = "20" }}
[budgets.cost_centers.evals]
day = "5"
"""
PROMPT = "Triage this ticket.\n<ticket>\n{{ ticket }}\n</ticket>"
NUMBER = 20


async def triage(gateway: Gateway, inputs: Mapping[str, Any]) -> Answer[Triage]:
    """Ask as an application does: with a cost centre and a fallback of its own."""
    unknown = Triage(category="other", urgency=3, summary="?", confidence=0)
    ticket = {"ticket": inputs["ticket"]}
    return await gateway.ask("triage", ticket, output_type=Triage, cost_center="support", fallback=lambda: unknown)


def brief(case: EvaluatorContext) -> bool:
    """Whether the summary has at most eight words."""
    return len(case.output.summary.split()) <= 8


def write(name: str, text: str) -> None:
    """Write a file of the project."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def rows(result: Result) -> list[list[str]]:
    """Read the table: the words of each line."""
    return [line.split() for line in result.stdout.splitlines()]


def gate() -> list[str]:
    """Check the recorded replies, as a project's test does."""
    return asyncio.run(problems(TRIAGE))


DATASETS = [
    Dataset("triage", triage, {"category": fields("category"), "urgency": within(1, "urgency"), "brief": brief})
]
[TRIAGE] = DATASETS

type Eval = Callable[..., Result]
"""Runs a command: `run(\"eval\", \"--live\")`."""


def cases() -> str:
    """Return the file of cases: each word of `WORDS` in turn."""
    lines = []
    for number in range(NUMBER):
        word, category = list(WORDS.items())[number % len(WORDS)]
        expected = {"category": category, "urgency": 3}
        lines.append(
            {"name": f"case-{number}", "inputs": {"ticket": f"Ticket {number}: {word}."}, "expected": expected}
        )
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def answer(body: Mapping[str, Any], **changes: Any) -> Reply:
    """Reply as a good model does, but for `changes`."""
    asked = str(body["messages"])
    category = next((each for word, each in WORDS.items() if word in asked), "other")
    reply = {"category": category, "urgency": 3, "summary": "A short summary.", "confidence": 0.9, **changes}
    return Reply(text=json.dumps(reply))
