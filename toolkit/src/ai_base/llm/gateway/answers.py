"""The answer to a question, and the key under which it is stored."""

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from ai_base.llm.candidates.guard import Guard
from ai_base.llm.gateway.output import json_schema
from ai_base.llm.gateway.question import Question

type Source = Literal["model", "cache", "fallback", "human"]


@dataclass(frozen=True)
class Answer[T]:
    """The answer to one question, where it comes from, and what it cost."""

    output: T
    source: Source
    """Where it comes from. `human` means that a person answered."""
    model: str
    """As the provider reports it; empty unless a model's output is returned."""
    cost: Decimal
    """US dollars, of all attempts together."""
    calls: int
    interaction_id: str
    confidence: float | None = None
    escalation_id: str | None = None
    """Id of the escalation while it waits for a person. The output is the model's draft then."""
    fallback_reason: str = ""
    """Why the answer came from the cache, the fallback or a person, or is a draft; empty for a model's own answer."""
    repairs: tuple[str, ...] = ()
    """What was repaired in the reply's syntax."""


def cache_key(question: Question, chain: list[Guard]) -> str:
    """Return a hash of everything that affects the answer: prompt version, rendered text, schema, candidates."""
    candidates = [[guard.name, guard.candidate.model, str(guard.candidate.temperature)] for guard in chain]
    prompt, schema = question.prompt, json_schema(question.output_type)
    facts = [prompt.name, prompt.version, question.facts, schema, candidates]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
