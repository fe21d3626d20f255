"""An agent as an explicit loop over tool calls, on the gateway's guarded models."""

from ai_base.agent.agent import SimpleReActAgent
from ai_base.agent.limits import Limits
from ai_base.agent.run import Run
from ai_base.llm.ledger.records import Step

__all__ = ["Limits", "Run", "SimpleReActAgent", "Step"]
