"""One front door for every AI call, with limits that hold: what a user imports every day."""

from importlib import import_module
from typing import TYPE_CHECKING

from ai_base.llm.errors import (
    AllCandidatesFailedError,
    AwaitingHumanError,
    BudgetExceededError,
    CallLimitError,
    ConfigError,
    DeadlineExceededError,
    InputTooLargeError,
    InvalidOutputError,
    LedgerError,
    LLMError,
    PromptVariableError,
    RefusedError,
    RejectedRequestError,
    UnpricedModelError,
)

if TYPE_CHECKING:
    from ai_base.llm.gateway.answers import Answer
    from ai_base.llm.gateway.gateway import Gateway
    from ai_base.llm.interaction import attributed_to

__all__ = [
    "AllCandidatesFailedError",
    "Answer",
    "AwaitingHumanError",
    "BudgetExceededError",
    "CallLimitError",
    "ConfigError",
    "DeadlineExceededError",
    "Gateway",
    "InputTooLargeError",
    "InvalidOutputError",
    "LLMError",
    "LedgerError",
    "PromptVariableError",
    "RefusedError",
    "RejectedRequestError",
    "UnpricedModelError",
    "attributed_to",
]

# Imported at first use: the client library takes a second, for which most commands need not wait.
_LAZY = {
    "Answer": "ai_base.llm.gateway.answers",
    "Gateway": "ai_base.llm.gateway.gateway",
    "attributed_to": "ai_base.llm.interaction",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
