"""What the tests of evals evaluate: the triage of tickets by a provider on this machine, which has moods."""

import json
from collections.abc import Mapping
from typing import Any

from example_app import Triage

from ai_base.evals import Dataset, EvaluatorContext
from ai_base.evals.evaluators import fields, within
from ai_base.llm import Answer, Gateway
from ai_base.testing.loopback import Reply

WORDS = {"charged": "billing", "crashes": "bug", "how": "question"}
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


DATASETS = [
    Dataset("triage", triage, {"category": fields("category"), "urgency": within(1, "urgency"), "brief": brief})
]


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
