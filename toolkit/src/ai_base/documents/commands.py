"""The commands `documents index|status|search|ask`."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from ai_base.cli import echo
from ai_base.documents.ask import ask_documents
from ai_base.documents.build import Builder, DryRun
from ai_base.documents.cache import EmbeddingCache
from ai_base.documents.embeddings import Embeddings
from ai_base.documents.index import Passage
from ai_base.documents.repository import DocumentRepository, Known
from ai_base.documents.settings import DocumentsSettings
from ai_base.documents.sqlite_index import SQLiteIndex
from ai_base.documents.worker import ParsingWorker
from ai_base.llm.commands.tables import money
from ai_base.llm.gateway.gateway import Gateway
from ai_base.llm.money import dollars
from ai_base.settings import load_settings

BYTES_PER_TOKEN = 4
"""Of English text, for an estimate; the highest cost counts a token for each byte."""
INTERRUPTED = 130
NOTHING_FOUND = 1

app = typer.Typer(help="Index documents, search them, and ask questions about them.", no_args_is_help=True)


@dataclass
class Opened:
    """Everything that the commands use."""

    settings: DocumentsSettings
    gateway: Gateway
    repository: DocumentRepository
    index: SQLiteIndex
    embeddings: Embeddings

    def builder(self, worker: ParsingWorker) -> Builder:
        """Return a builder as the settings have it."""
        tokens, glob = self.settings.documents_chunk_tokens, self.settings.documents_glob
        return Builder(self.repository, self.index, self.embeddings.embed_documents, worker, tokens, glob)


@app.command()
def index(dry_run: Annotated[bool, typer.Option(help="Only tell what it would do and cost.")] = False) -> None:
    """Index what is new or changed, and remove what is gone."""
    _run(_dry_run() if dry_run else _index())


@app.command()
def status() -> None:
    """Tell what the index holds, and which documents are left out."""
    _run(_status())


@app.command()
def search(question: str, limit: Annotated[int, typer.Option(min=1, max=50)] = 5) -> None:
    """Show the passages that fit a question best."""
    _run(_search(question, limit))


@app.command()
def ask(question: str) -> None:
    """Answer a question from the documents, with quotes."""
    _run(_ask(question))


def _run(command: Coroutine[Any, Any, int]) -> None:
    try:
        code = asyncio.run(command)
    except KeyboardInterrupt:
        echo("Stopped. What is indexed stays indexed; the next run goes on from there.", err=True)
        code = INTERRUPTED
    if code:
        raise typer.Exit(code)


async def _index() -> int:
    async with _opened() as opened, ParsingWorker() as worker:
        known, builder = opened.index.known(), opened.builder(worker)
        listed = opened.repository.list(builder.glob)
        changed = [each.path async for each in listed if known.get(each.path, Known("", "")).etag != each.etag]
        with typer.progressbar(length=len(changed), label="indexing", file=sys.stderr) as bar:
            builder.on_progress = lambda _: bar.update(1)
            report = await builder.run()
        echo(
            f"{report.indexed:,} documents indexed in {report.chunks:,} chunks, {report.removed:,} removed, "
            f"{report.documents:,} found in {opened.repository.url}."
        )
        _tell_left_out(report.left_out)
        report.require_coverage(opened.settings.documents_left_out)
        return 0


async def _dry_run() -> int:
    async with _opened() as opened, ParsingWorker() as worker:
        builder, plan = opened.builder(worker), DryRun(opened.index, opened.embeddings.missing)
        builder.index, builder.embed = plan, plan.embed
        report = await builder.run()
        highest = opened.embeddings.highest_cost(plan.size)
        echo(
            f"{report.indexed:,} documents would be indexed in {report.chunks:,} chunks; {plan.texts:,} of them are "
            f"not in the cache: about {plan.size // BYTES_PER_TOKEN:,} tokens, about "
            f"{money(dollars(highest // BYTES_PER_TOKEN))}, at most {money(dollars(highest))}."
        )
        _tell_left_out({**report.left_out, **plan.unreadable})
        return 0


async def _status() -> int:
    async with _opened() as opened:
        found = opened.index.status()
        echo(f"{found.documents:,} documents in {found.chunks:,} chunks; embeddings of {found.model}.")
        _tell_left_out(found.unreadable)
        return 0


async def _search(question: str, limit: int) -> int:
    async with _opened() as opened:
        vector, weight = await opened.embeddings.embed_question(question), opened.embeddings.weight
        passages = opened.index.search(question, vector, limit, weight)
        for passage in passages:
            echo(f"{_place(passage)}\n{passage.chunk.text}\n")
        if not passages:
            echo("Nothing was found. Has `documents index` run?", err=True)
        return 0 if passages else NOTHING_FOUND


async def _ask(question: str) -> int:
    async with _opened() as opened:
        answer = await ask_documents(opened.gateway, opened.index, opened.embeddings, question)
        echo(answer.answer if answer.found else "This is not in the documents.")
        for passage, quote in answer.citations:
            echo(f"  “{quote}”\n    {_place(passage)}")
        left_out = f" {len(answer.left_out)} passages did not fit." if answer.left_out else ""
        echo(f"Cost: {money(answer.cost)}.{left_out}", err=True)
        return 0 if answer.found else NOTHING_FOUND


@asynccontextmanager
async def _opened() -> AsyncIterator[Opened]:
    settings = load_settings(DocumentsSettings)
    async with Gateway.open() as gateway:
        with closing(EmbeddingCache(settings.index_file.with_name("embeddings.db"))) as cache:
            embeddings = Embeddings(gateway, cache, dimensions=settings.documents_dimensions)
            recipe = f"1, {settings.documents_chunk_tokens} tokens"
            repository = DocumentRepository(settings.location, max_bytes=settings.documents_max_bytes)
            with closing(SQLiteIndex(settings.index_file, embeddings.space, recipe)) as opened:
                yield Opened(settings, gateway, repository, opened, embeddings)


def _tell_left_out(left_out: dict[str, str]) -> None:
    for path, reason in sorted(left_out.items()):
        echo(f"left out: {path!r}: {reason}", err=True)


def _place(passage: Passage) -> str:
    return " > ".join(filter(None, [passage.chunk.path, passage.chunk.headings]))
