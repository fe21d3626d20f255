"""The public API of the gateway: what an application imports every day."""

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
    InvalidInputError,
    InvalidOutputError,
    LedgerError,
    LLMError,
    ModelRefusalError,
    PromptVariableError,
    RefusedError,
    RejectedRequestError,
    TruncatedOutputError,
    UnpricedModelError,
)

if TYPE_CHECKING:
    from ai_base.llm.gateway.answers import Answer
    from ai_base.llm.gateway.batch import BatchItem, Progress
    from ai_base.llm.gateway.cap_monitor import BudgetStatus
    from ai_base.llm.gateway.gateway import Gateway
    from ai_base.llm.interaction import attributed_to

__all__ = [
    "AllCandidatesFailedError",
    "Answer",
    "AwaitingHumanError",
    "BatchItem",
    "BudgetExceededError",
    "BudgetStatus",
    "CallLimitError",
    "ConfigError",
    "DeadlineExceededError",
    "Gateway",
    "InputTooLargeError",
    "InvalidInputError",
    "InvalidOutputError",
    "LLMError",
    "LedgerError",
    "ModelRefusalError",
    "Progress",
    "PromptVariableError",
    "RefusedError",
    "RejectedRequestError",
    "TruncatedOutputError",
    "UnpricedModelError",
    "attributed_to",
]

# Imported on first use: the client library takes a second to import, and most commands do not need it.
_LAZY = {
    "Answer": "ai_base.llm.gateway.answers",
    "BatchItem": "ai_base.llm.gateway.batch",
    "BudgetStatus": "ai_base.llm.gateway.cap_monitor",
    "Gateway": "ai_base.llm.gateway.gateway",
    "Progress": "ai_base.llm.gateway.batch",
    "attributed_to": "ai_base.llm.interaction",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
