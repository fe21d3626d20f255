"""Approval of tool calls by a person, through the ledger's escalations."""

import hashlib

from pydantic_ai.messages import ToolCallPart

from ai_base.agent.run import Run, call_key
from ai_base.agent.tools import arguments_of
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import Escalation, new_id, now
from ai_base.text.scrub import scrub

YES = {"yes", "y", "ok", "approve", "approved"}
REASON = "The agent wants to call a tool that needs approval. Answer yes to run it; any other answer refuses it."


async def find_answer(ledger: Ledger, run: Run, position: int, call: ToolCallPart) -> Escalation | None:
    """Return the escalation of this very call if a person has answered it."""
    return await ledger.answered(_key(run, position, call))


async def ask_person(ledger: Ledger, run: Run, position: int, call: ToolCallPart, name: str) -> str:
    """Queue the call for a person, unless it is queued; return the id of the escalation."""
    request = scrub(f"{call.tool_name}({arguments_of(call)})")
    key, interaction = _key(run, position, call), run.interaction_ids[-1]
    return await ledger.escalate(Escalation(new_id(), interaction, now(), key, REASON, scrub(name), request))


def is_approved(escalation: Escalation) -> bool:
    """Whether the person said yes."""
    return escalation.answer.strip().lower() in YES


def _key(run: Run, position: int, call: ToolCallPart) -> str:
    """Hash the call with its place in the run: an approval is for one call with its arguments, and no other."""
    return hashlib.sha256(f"{run.id} {run.responses} {position} {call_key(call)}".encode()).hexdigest()
