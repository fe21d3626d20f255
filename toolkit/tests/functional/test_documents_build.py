"""Builds: what is embedded, what is left out, and what an interrupted build leaves."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from document_cases import pdf, zip_bomb_pdf

from ai_base.documents.build import Builder, BuildReport
from ai_base.documents.errors import LocationError, TooManyUnreadableError
from ai_base.documents.hashing import Vectors, hash_embed
from ai_base.documents.index import Index
from ai_base.documents.repository import DocumentRepository
from ai_base.documents.sqlite_index import SQLiteIndex
from ai_base.documents.worker import ParsingWorker

pytestmark = pytest.mark.slow

BATCH = 64
"""Chunks, instead of many more."""


class Workshop:
    """A folder of documents, an index, and a count of the texts that were embedded."""

    def __init__(self, folder: Path, index: Index, worker: ParsingWorker) -> None:
        self.folder, self.index, self.worker = folder, index, worker
        self.embedded: list[list[str]] = []
        self.progress: list[int] = []

    def write(self, **documents: str | bytes) -> None:
        for name, content in documents.items():
            data = content.encode() if isinstance(content, str) else content
            (self.folder / name.replace("_", ".")).write_bytes(data)

    async def build(self, max_bytes: int = 1_000_000) -> BuildReport:
        repository = DocumentRepository(self.folder.as_uri(), max_bytes=max_bytes)

        def note(report: BuildReport) -> None:
            self.progress.append(report.indexed)

        return await Builder(repository, self.index, self._embed, self.worker, on_progress=note).run()

    def found(self, question: str) -> list[str]:
        passages = self.index.search(question, hash_embed([question])[0], 20, 0.0)
        return [passage.chunk.path for passage in passages if passage.score]

    async def _embed(self, texts: list[str]) -> Vectors:
        self.embedded.append(texts)
        return hash_embed(texts)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ai_base.documents.build.BATCH", BATCH)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Workshop]:
    (tmp_path / "docs").mkdir()
    index = SQLiteIndex(tmp_path / "index.db", "offline:hashing", "1")
    async with ParsingWorker() as worker:
        yield Workshop(tmp_path / "docs", index, worker)
    index.close()


async def test_a_build_does_only_what_has_changed(shop: Workshop) -> None:
    shop.write(a_md="# One\n\nFirst.\n\n# Two\n\nSecond.", b_html="<p>Third.", c_pdf=pdf("Fourth"), d_csv="x\nFifth")
    report = await shop.build()
    assert (report.indexed, report.chunks, report.documents, report.left_out) == (4, 5, 4, {})
    assert sum(map(len, shop.embedded)) == 5
    assert shop.found("fourth") == ["c.pdf"]

    shop.embedded.clear()
    report = await shop.build()
    assert (report.indexed, report.removed, report.documents) == (0, 0, 4)
    assert shop.embedded == []

    shop.write(a_md="# One\n\nFirst.\n\n# Two\n\nEdited.")
    (shop.folder / "b.html").unlink()
    report = await shop.build()
    assert (report.indexed, report.removed, report.documents) == (1, 1, 3)
    assert shop.found("third") == []
    assert shop.found("edited") == ["a.md"]


async def test_texts_are_embedded_in_batches_across_documents(shop: Workshop) -> None:
    for number in range(BATCH + 10):
        shop.write(**{f"{number}_md": f"Document {number}."})
    report = await shop.build()
    assert [len(texts) for texts in shop.embedded] == [BATCH, 10]
    assert report.indexed == BATCH + 10
    assert shop.progress[0] == 0
    assert shop.progress[-1] == BATCH + 10


async def test_what_cannot_be_read_is_counted_with_its_reason(shop: Workshop) -> None:
    shop.write(good_md="Text.", latin_txt="Käse".encode("latin-1"), empty_md="", bomb_pdf=zip_bomb_pdf(), x_docx=b"PK")
    shop.write(large_md="x" * 2_000_000)
    (shop.folder / "link.md").symlink_to("/etc/hostname")
    for _ in range(2):  # the second build reads none of them again, and still tells of all
        report = await shop.build()
        assert report.documents == 7
        assert report.left_out.keys() == {"latin.txt", "empty.md", "bomb.pdf", "x.docx", "large.md", "link.md"}
        assert report.left_out["latin.txt"].startswith("neither UTF-8 nor UTF-16")
        assert report.left_out["large.md"] == "2,000,000 bytes, more than 1,000,000"
    assert shop.worker.started == 1
    with pytest.raises(TooManyUnreadableError, match=r"6 of 7 documents are not in the index, more than 50%.*: "):
        report.require_coverage(0.5)
    report.require_coverage(6 / 7)
    shop.write(latin_txt="Käse")
    assert "latin.txt" not in (await shop.build()).left_out
    assert shop.found("käse") == ["latin.txt"]


async def test_a_version_that_cannot_be_accessed_leaves_the_earlier_one(shop: Workshop) -> None:
    shop.write(a_md="Text.")
    await shop.build()
    shop.write(a_md="x" * 2000)
    report = await shop.build(max_bytes=1000)
    assert (report.documents, report.left_out) == (1, {"a.md": "2,000 bytes, more than 1,000"})
    assert shop.found("text") == ["a.md"]
    assert (await shop.build()).left_out == {}


async def test_an_empty_folder_removes_nothing(shop: Workshop) -> None:
    shop.write(a_md="Text.")
    await shop.build()
    (shop.folder / "a.md").unlink()
    with pytest.raises(LocationError, match="no document matches"):
        await shop.build()
    assert shop.found("text") == ["a.md"]


async def test_a_build_whose_embeddings_fail_goes_on_where_it_was(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2 * BATCH):
        shop.write(**{f"{number}_md": f"Document {number}."})

    async def fail_the_second_time(texts: list[str]) -> Vectors:
        if shop.embedded:
            raise ConnectionError
        shop.embedded.append(texts)
        return hash_embed(texts)

    with monkeypatch.context() as patched:
        patched.setattr(shop, "_embed", fail_the_second_time)
        with pytest.raises(ConnectionError):
            await shop.build()
    assert shop.index.status().documents == BATCH
    assert (await shop.build()).indexed == BATCH
    assert len({text for texts in shop.embedded for text in texts}) == sum(map(len, shop.embedded)) == 2 * BATCH


async def test_a_file_of_100_mb_is_a_skip(shop: Workshop) -> None:
    shop.write(good_md="Text.", huge_md=b"word " * 20_000_000)
    report = await shop.build()
    assert report.left_out == {"huge.md": "100,000,000 bytes, more than 1,000,000"}
    report = await shop.build(max_bytes=200_000_000)  # it is read, but its text is too long to keep
    assert report.left_out == {"huge.md": "its text has more than 50 MB"}
    assert shop.found("text word") == ["good.md"]


async def test_a_document_without_text_below_its_headings_is_told(shop: Workshop) -> None:
    shop.write(good_md="Text.", title_md="# Title\n\n## Part\n")
    assert (await shop.build()).left_out == {"title.md": "there is no text below its headings"}


async def test_a_plan_tells_what_a_build_would_do_and_writes_nothing(shop: Workshop) -> None:
    shop.write(a_md="First.", b_md="", c_md="Second.")
    await shop.build()
    shop.embedded.clear()
    shop.write(a_md="Edited.", b_md="No longer empty.", d_md=b"\xff")
    builder = Builder(DocumentRepository(shop.folder.as_uri()), shop.index, shop._embed, shop.worker)  # noqa: SLF001
    plan = await builder.plan(lambda texts: [text for text in texts if text != "Edited."])
    assert (plan.indexed, plan.chunks, plan.texts, plan.size) == (2, 2, 1, len("No longer empty."))
    assert plan.left_out.keys() == {"d.md"}
    assert shop.embedded == []
    assert shop.found("first edited") == ["a.md"]
    assert shop.index.status().unreadable.keys() == {"b.md"}


# ---- Processes ----

BUILD = f"""
import asyncio, sys
from document_cases import open_index_at
from ai_base.documents import build
from ai_base.documents.hashing import hash_embed
from ai_base.documents.repository import DocumentRepository
from ai_base.documents.worker import ParsingWorker

build.BATCH = {BATCH}

async def embed(texts):
    with open(sys.argv[3], "a") as log:
        log.writelines(text + "\\n" for text in texts)
    print("batch", flush=True)
    return hash_embed(texts)

async def main():
    async with ParsingWorker() as worker:
        index = open_index_at(sys.argv[2], "offline:hashing")
        await build.Builder(DocumentRepository(sys.argv[1]), index, embed, worker).run()

asyncio.run(main())
"""


@pytest.fixture
def start_build(tmp_path: Path, index_place: str) -> Callable[[], subprocess.Popen[str]]:
    """Build an index of `docs` in another process, which writes what it embeds to `log` and tells each batch."""
    command = [sys.executable, "-c", BUILD, str(tmp_path / "docs"), index_place, str(tmp_path / "log")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    (tmp_path / "docs").mkdir()
    return lambda: subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_a_build_that_is_killed_loses_nothing(
    tmp_path: Path, start_build: Callable[[], subprocess.Popen[str]], open_index: Callable[[], Index]
) -> None:
    for number in range(5 * BATCH):
        (tmp_path / "docs" / f"{number}.md").write_text(f"Document {number}.")
    kills = 3
    for batches in range(1, kills + 1):
        with start_build() as process:
            assert process.stdout is not None
            for _ in range(min(batches, 2)):
                assert process.stdout.readline() == "batch\n"
            process.send_signal(signal.SIGKILL)
    index = open_index()
    assert index.search("document", hash_embed(["document"])[0], 1)[0].score > 0  # usable as it is
    with start_build() as process:
        process.communicate()
    status = index.status()
    assert (process.returncode, status.documents, status.chunks) == (0, 5 * BATCH, 5 * BATCH)
    paid = (tmp_path / "log").read_text().splitlines()
    assert len(set(paid)) == 5 * BATCH
    assert len(paid) <= 5 * BATCH + kills * BATCH  # what was in flight at each kill


def test_two_builders_do_not_spoil_each_other(
    tmp_path: Path, start_build: Callable[[], subprocess.Popen[str]], open_index: Callable[[], Index]
) -> None:
    for number in range(2 * BATCH):
        (tmp_path / "docs" / f"{number}.md").write_text(f"Document {number}.")
    builders = [start_build(), start_build()]
    for builder in builders:
        builder.communicate()
    assert [builder.returncode for builder in builders] == [0, 0]
    index = open_index()
    status = index.status()
    assert (status.documents, status.chunks) == (2 * BATCH, 2 * BATCH)
    vector = hash_embed(["Document 7."])[0]
    assert [each.chunk.path for each in index.search("document 7", vector, 1)] == ["7.md"]
