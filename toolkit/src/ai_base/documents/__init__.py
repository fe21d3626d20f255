"""Documents: a repository by URL, Markdown chunks, an index with full-text and vector search."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_base.documents.documents import Documents
    from ai_base.documents.repository import DocumentRepository

__all__ = ["DocumentRepository", "Documents"]

# Imported on first use: numpy and the client library take seconds to import, and most commands do not need them.
_LAZY = {"Documents": "ai_base.documents.documents", "DocumentRepository": "ai_base.documents.repository"}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
