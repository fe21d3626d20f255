"""Approval of tool calls by a person, through the ledger's escalations."""

import hashlib

from pydantic_ai.messages import ToolCallPart

from ai_base.agent.run import Run, call_key
from ai_base.agent.tools import arguments_of
from ai_base.llm.ledger.records import Escalation, new_id, now
from ai_base.text.scrub import scrub

YES = {"yes", "y", "ok", "approve", "approved"}
REASON = "The agent wants to call a tool that needs approval. Answer yes to run it; any other answer refuses it."


def approval_of(run: Run, position: int, call: ToolCallPart, name: str) -> Escalation:
    """Return the question for a person, whose key is the call with its place in the run.

    So an approval is for one call with its arguments, and no other.
    """
    key = hashlib.sha256(f"{run.id} {run.responses} {position} {call_key(call)}".encode()).hexdigest()
    request = scrub(f"{call.tool_name}({arguments_of(call)})")
    return Escalation(new_id(), run.interaction_ids[-1], now(), key, REASON, scrub(name), request)


def is_approved(escalation: Escalation) -> bool:
    """Whether the person said yes."""
    return escalation.answer.strip().lower() in YES
