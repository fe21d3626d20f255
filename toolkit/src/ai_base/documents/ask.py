"""Answers questions from the documents in an index. Every citation is checked word for word."""

import re
import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pydantic import BaseModel, Field

from ai_base.documents.errors import UnsupportedAnswerError
from ai_base.documents.index import Passage
from ai_base.llm.candidates.offline import MARK
from ai_base.llm.configuration.prices import OFFLINE
from ai_base.llm.gateway.gateway import Gateway
from ai_base.llm.money import dollars
from ai_base.text.clean import clean

PROMPT = "documents"
"""The prompt's name; `documents.md` beside this file is its text."""
PASSAGES = 12
"""Most passages in a prompt."""
SHORTEST_QUOTE = 12
"""Characters. A shorter one is found in many passages by chance."""
WINDOW_SHARE = 0.5
"""Of the context window, and of the longest input, that passages may fill. A byte counts as a token."""
DEFAULT_WINDOW = 8192
"""Tokens; where a candidate's window is not known."""

_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'})

_TAG = re.compile(r"<(/?)(?=\s*passage)", re.IGNORECASE)
"""What would end a passage, or begin another one, in the prompt."""


type Search = Callable[[str, int], Awaitable[Sequence[Passage]]]
"""Returns the best passages for a question, at most so many."""


class Citation(BaseModel):
    """A quote, and the number of the passage that it is from."""

    passage: int
    quote: str


class CitedAnswer(BaseModel):
    """What a model is asked for."""

    found: bool
    answer: str = ""
    citations: list[Citation] = Field(default_factory=list)


@dataclass(frozen=True)
class DocumentAnswer:
    """An answer from documents. All quotes were found in their passages."""

    found: bool
    """False: the answer is not in the documents."""
    left_out: list[Passage]
    """Passages of the index that did not fit into the context window."""
    cost: Decimal
    """US dollars, of everything that the question took."""
    answer: str = ""
    citations: Sequence[tuple[Passage, str]] = ()
    """Passages, each with the quote from it."""


async def ask_documents(gateway: Gateway, search: Search, question: str) -> DocumentAnswer:
    """Search for passages, ask the prompt `documents`, and check the citations.

    An answer with a quote that is not in its passage, or without citations, is sent back once.

    Raises:
        UnsupportedAnswerError: The second answer is not supported by the passages either.
        LLMError: As `Gateway.ask` raises it.
    """
    async with gateway.interaction("ask documents") as call:
        found = await search(question, PASSAGES)
        chain = call.cheaper_chain or gateway.prompts[PROMPT].settings.chain
        chosen, left_out = _fitting(gateway, found, chain)
        if not chosen:
            return DocumentAnswer(found=False, left_out=left_out, cost=dollars(call.budget.spent))
        shown = [_as_data(number, passage) for number, passage in enumerate(chosen, start=1)]
        rejected: list[str] = []
        for _ in range(2):
            variables = {"question": question, "passages": shown, "rejected": rejected}
            answer = await gateway.ask(PROMPT, variables, output_type=CitedAnswer)
            output, cost = answer.output, dollars(call.budget.spent)
            if answer.model == OFFLINE:  # it understands nothing: the best passage stands for an answer
                label, citation = f"{MARK} The best passage:", (chosen[0], chosen[0].chunk.text)
                return DocumentAnswer(found=True, left_out=left_out, cost=cost, answer=label, citations=[citation])
            rejected = _unsupported(output, chosen)
            if not rejected:
                citations = [(chosen[each.passage - 1], each.quote) for each in output.citations]
                return DocumentAnswer(output.found, left_out, cost, output.answer, citations)
        raise UnsupportedAnswerError(question, rejected)


def _fitting(gateway: Gateway, found: Sequence[Passage], chain: str) -> tuple[list[Passage], list[Passage]]:
    """Split the passages into those that fit every candidate of the chain and those that do not."""
    config = gateway.candidates.config()
    windows = [
        guard.candidate.context_window or guard.wrapped.context_window for guard in gateway.candidates.chain(chain)
    ]
    room = WINDOW_SHARE * min([config.input.max_bytes, *(window or DEFAULT_WINDOW for window in windows)])
    chosen: list[Passage] = []
    left_out: list[Passage] = []
    for passage in found:
        size = len(passage.chunk.embedded_text.encode())
        if size <= room:
            room -= size
            chosen.append(passage)
        else:
            left_out.append(passage)
    return chosen, left_out


def _as_data(number: int, passage: Passage) -> dict[str, object]:
    """Return what the prompt shows of a passage. Neither its text nor its name can end the passage."""
    text = _TAG.sub(r"<\1 ", passage.chunk.embedded_text)
    return {"number": number, "document": re.sub(r'[<>"\s]', " ", passage.chunk.path), "text": text}


def _unsupported(output: CitedAnswer, chosen: Sequence[Passage]) -> list[str]:
    """Return the quotes that are not in their passages; an answer without a quote counts as one."""
    if not output.found:
        return []
    if not output.citations:
        return ["(there was no citation)"]
    return [each.quote for each in output.citations if not _is_in_passage(each, chosen)]


def _is_in_passage(citation: Citation, chosen: Sequence[Passage]) -> bool:
    quote = _normalized(citation.quote)
    if len(quote) < SHORTEST_QUOTE or not 1 <= citation.passage <= len(chosen):
        return False
    text = chosen[citation.passage - 1].chunk.text
    return quote in _normalized(text) or quote in _normalized(clean(text))  # the gateway cleans what it returns


def _normalized(text: str) -> str:
    """Return a text in one form of its characters, white space and quotation marks."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).translate(_QUOTES)).strip()
