"""What is evaluated, and how the outputs are scored. Replace it with yours; it is never updated."""

from collections.abc import Mapping

from ai_base.evals import Dataset, EvaluatorContext
from ai_base.evals.evaluators import fields, within
from ai_base.llm import Answer, Gateway

from .tickets import triage_ticket
from .triage import Triage


async def triage(gateway: Gateway, inputs: Mapping[str, str]) -> Answer[Triage]:
    """Triage a ticket, as the application does."""
    return await triage_ticket(gateway, inputs["ticket"])


def brief(case: EvaluatorContext) -> bool:
    """Whether the summary has at most 30 words."""
    return len(case.output.summary.split()) <= 30


DATASETS = [
    Dataset("triage", triage, {"category": fields("category"), "urgency": within(1, "urgency"), "brief": brief}),
]
