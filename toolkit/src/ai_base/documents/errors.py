"""The errors of documents. Each names the document or the place that it is about."""

from collections.abc import Sequence

from ai_base.errors import AIBaseError


class DocumentsError(AIBaseError):
    """Base class: documents could not be listed, read, indexed or searched."""


class LocationError(DocumentsError):
    """The place where the documents live cannot be used: it does not exist, refuses access or does not answer."""

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(f"{location}: {reason}")
        self.location, self.reason = location, reason


class UnreadableError(DocumentsError):
    """One document cannot be turned into text. A build counts it and goes on."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


class TooManyUnreadableError(DocumentsError):
    """A build left out more documents than is allowed. What could be read is in the index."""

    exit_code = 3

    def __init__(self, left_out: int, found: int, allowed: float, example: str) -> None:
        super().__init__(
            f"{left_out} of {found} documents are not in the index, more than {allowed:.0%} of them; such as {example}"
        )
        self.left_out, self.found, self.allowed = left_out, found, allowed


class IndexStorageError(DocumentsError):
    """The index's database cannot be used."""


class IndexMismatchError(DocumentsError):
    """The index holds embeddings of another model. Embeddings of different models cannot be compared."""

    def __init__(self, index: str, found: str, wanted: str) -> None:
        super().__init__(f"{index} was built with {found}, not with {wanted}: use that model or build a new index")
        self.index, self.found, self.wanted = index, found, wanted


class EmbeddingError(DocumentsError):
    """The embeddings that came back are not the ones that were asked for; none of them is kept."""


class UnsupportedAnswerError(DocumentsError):
    """A model gave an answer, twice, whose quotes are not in the passages that they name."""

    kind = "unsuitable"
    """As of a failed attempt: there was a reply, and it was of no use."""

    def __init__(self, question: str, quotes: Sequence[str]) -> None:
        super().__init__(f"no answer: these quotes are not in the documents: {'; '.join(quotes)}")
        self.question, self.quotes = question, list(quotes)
