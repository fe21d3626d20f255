"""What the commands do. Each returns the command's exit code."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import typer

from ai_base.cli import echo
from ai_base.documents.documents import Documents
from ai_base.documents.repository import Known
from ai_base.documents.worker import ParsingWorker
from ai_base.llm.commands.tables import money
from ai_base.llm.gateway.gateway import Gateway
from ai_base.llm.money import dollars

BYTES_PER_TOKEN = 4
"""Of English text, for an estimate; the highest cost counts a token for each byte."""
NOTHING_FOUND = 1


async def index() -> int:
    """Index what is new or changed."""
    async with _opened() as opened, ParsingWorker() as worker:
        known, builder = opened.index.known(), opened.builder(worker)
        listed = opened.repository.list(builder.glob)
        changed = sum([known.get(each.path, Known("", "")).etag != each.etag async for each in listed])
        with typer.progressbar(length=changed, label="indexing", file=sys.stderr) as bar:
            builder.on_progress = lambda _: bar.update(1)
            report = await builder.run()
        echo(
            f"{report.indexed:,} documents indexed in {report.chunks:,} chunks, {report.removed:,} removed, "
            f"{report.documents:,} found in {opened.repository.url}."
        )
        _tell_left_out(report.left_out)
        report.require_coverage(opened.settings.documents_left_out)
        return 0


async def dry_run() -> int:
    """Tell what `index` would do and cost; write nothing."""
    async with _opened() as opened, ParsingWorker() as worker:
        plan = await opened.builder(worker).plan(opened.embeddings.missing)
        highest = opened.embeddings.highest_cost(plan.size)
        echo(
            f"{plan.indexed:,} documents would be indexed in {plan.chunks:,} chunks; {plan.texts:,} of them are "
            f"not in the cache: about {plan.size // BYTES_PER_TOKEN:,} tokens, about "
            f"{money(dollars(highest // BYTES_PER_TOKEN))}, at most {money(dollars(highest))}."
        )
        _tell_left_out(plan.left_out)
        return 0


async def status() -> int:
    """Tell what the index holds."""
    async with _opened() as opened:
        found = opened.index.status()
        echo(f"{found.documents:,} documents in {found.chunks:,} chunks; embeddings of {found.model}.")
        _tell_left_out(found.unreadable)
        return 0


async def search(question: str, limit: int) -> int:
    """Show the best passages."""
    async with _opened() as opened:
        passages = await opened.search(question, limit)
        for passage in passages:
            echo(f"{passage.place}\n{passage.chunk.text}\n")
        if not passages:
            echo("Nothing was found. Has `documents index` run?", err=True)
        return 0 if passages else NOTHING_FOUND


async def recall(sections: Mapping[str, str]) -> int:
    """Show how well the search finds the sections that answer questions."""
    async with _opened() as opened:
        both, words = [await opened.recall(sections, weight) for weight in (None, 0)]
        echo(f"recall@5 of {len(sections)} questions: {both:.3f}; by words alone: {words:.3f}")
        return 0


async def ask(question: str) -> int:
    """Show an answer and its quotes."""
    async with _opened() as opened:
        answer = await opened.ask(question)
        echo(answer.answer if answer.found else "This is not in the documents.")
        for passage, quote in answer.citations:
            echo(f"  “{quote}”\n    {passage.place}")
        left_out = f" {len(answer.left_out)} passages did not fit." if answer.left_out else ""
        echo(f"Cost: {money(answer.cost)}.{left_out}", err=True)
        return 0 if answer.found else NOTHING_FOUND


@asynccontextmanager
async def _opened() -> AsyncIterator[Documents]:
    async with Gateway.open() as gateway, Documents.open(gateway) as documents:
        yield documents


def _tell_left_out(left_out: dict[str, str]) -> None:
    for path, reason in sorted(left_out.items()):
        echo(f"left out: {path!r}: {reason}", err=True)
