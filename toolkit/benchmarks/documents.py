"""What documents cost: `python benchmarks/documents.py [row ...]`; without a row it runs all. Ratios count.

Each measured part runs in a process of its own; CPU seconds include its children. The bare script uses the same
splitter, embedding, SQLite and FTS5, in one transaction, and does not count tokens.
"""

import asyncio
import hashlib
import importlib
import json
import random
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from semantic_text_splitter import MarkdownSplitter

from ai_base.documents.build import Builder
from ai_base.documents.chunks import Chunk, split
from ai_base.documents.embeddings import OFFLINE_WEIGHT
from ai_base.documents.hashing import DIMENSIONS, Vectors, hash_embed, normalized
from ai_base.documents.index import RANKED_ROWS, search_terms
from ai_base.documents.repository import DocumentRepository, Known
from ai_base.documents.sqlite_index import SQLiteIndex
from ai_base.documents.tokens import TOKENIZER
from ai_base.documents.worker import ParsingWorker

MODEL = "hashing@own"
ROWS = 100_000
MODULES = ["argparse", "asyncio", "collections", "csv", "datetime", "decimal", "email.message", "functools", "heapq"]
MODULES += ["inspect", "json", "logging", "os", "pathlib", "random", "re", "shutil", "sqlite3", "statistics", "string"]
MODULES += ["subprocess", "tarfile", "textwrap", "threading", "typing", "unittest.mock", "urllib.request", "zipfile"]


def make_corpus(folder: Path, files: int, sections: int) -> None:
    """Write Markdown files of paragraphs from Python's language reference, each with a number that makes it unique."""
    chance = random.Random(1)  # noqa: S311
    paragraphs = [part for text in topics.values() for part in text.split("\n\n") if 100 < len(part) < 600]  # noqa: PLR2004
    folder.mkdir()
    for number in range(files):
        parts = [f"# Title {number}"]
        for section in range(sections):
            parts.append(f"## Section {section}")
            parts += [f"{chance.choice(paragraphs)} [{chance.randrange(10**6)}]" for _ in range(3)]
        (folder / f"{number}.md").write_text("\n\n".join(parts))


# ---- Measured parts, each in a process of its own ----


def build(folder: str, file: str) -> dict[str, float]:
    """Build an index with the library."""
    embedded = 0

    async def embed(texts: list[str]) -> Vectors:
        nonlocal embedded
        embedded += len(texts)
        print("batch", flush=True, file=sys.stderr)
        return hash_embed(texts)

    async def run() -> dict[str, float]:
        index = SQLiteIndex(Path(file), MODEL, "1")
        async with ParsingWorker() as worker:
            report = await Builder(DocumentRepository(folder), index, embed, worker).run()
        return {"chunks": report.chunks, "embedded": embedded, "documents": report.documents}

    return asyncio.run(run())


def bare(folder: str, file: str) -> dict[str, float]:
    """Build an index with a script, of chunks of 1,000 characters."""
    return build_by_hand(folder, file, MarkdownSplitter(1000))


def bare_in_tokens(folder: str, file: str) -> dict[str, float]:
    """Build an index with a script, of chunks of 300 tokens as the library's."""
    return build_by_hand(folder, file, MarkdownSplitter.from_tiktoken_model(TOKENIZER, 300))


def build_by_hand(folder: str, file: str, splitter: MarkdownSplitter) -> dict[str, float]:
    """Build an index in one transaction."""
    database, rows = sqlite3.connect(file), 0
    database.execute("CREATE TABLE chunks (row INTEGER PRIMARY KEY, path TEXT, text TEXT, vector BLOB)")
    database.execute("CREATE TABLE files (path TEXT PRIMARY KEY, digest TEXT)")
    database.execute("CREATE VIRTUAL TABLE words USING fts5(text, content = '', tokenize = 'porter unicode61')")
    for path in Path(folder).rglob("*.md"):
        text = path.read_text()
        database.execute("INSERT INTO files VALUES (?, ?)", (str(path), hashlib.sha256(text.encode()).hexdigest()))
        pieces = splitter.chunks(text)
        for piece, vector in zip(pieces, hash_embed(pieces).astype(np.float16), strict=True):
            rows += 1
            row = (rows, str(path), piece, vector.tobytes())
            database.execute("INSERT INTO chunks VALUES (?, ?, ?, ?)", row)
            database.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (rows, piece))
    database.commit()
    return {"chunks": rows}


def list_and_hash(folder: str, _: str) -> dict[str, float]:
    """Do the least that tells whether anything has changed."""
    found = [(str(path), hashlib.sha256(path.read_bytes()).digest()) for path in sorted(Path(folder).rglob("*.md"))]
    return {"documents": len(found)}


PARTS: dict[str, Callable[[str, str], dict[str, float]]] = {
    "build": build,
    "bare": bare,
    "list_and_hash": list_and_hash,
    "bare_in_tokens": bare_in_tokens,
}


def measured(part: str, folder: Path, file: Path) -> dict[str, float]:
    """Run a part in a process; return its numbers with CPU seconds and the peak of its memory in MB."""
    command = [sys.executable, __file__, "--part", part, str(folder), str(file)]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    numbers: dict[str, float] = json.loads(out)
    return numbers


def least(part: str, folder: Path, file: Path) -> dict[str, float]:
    """Run a part three times, each time from the start; return the numbers of the quickest run."""
    return min((measured(part, folder, file.with_name(f"{n}-{file.name}")) for n in range(3)), key=lambda n: n["cpu"])


def run_part(part: str, folder: str, file: str) -> None:
    """Print the numbers of a part as JSON. Imports are not counted: they are the same for all."""
    start = cpu()
    numbers = PARTS[part](folder, file)
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())  # not of the parent
    print(json.dumps({**numbers, "cpu": cpu() - start, "peak": int(peak) / 1000}))


def cpu() -> float:
    """Return the CPU seconds of this process and its children."""
    both = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)


# ---- Rows ----


def row_index(folder: Path) -> None:
    """Compare the first build, and the second one, with scripts."""
    make_corpus(folder / "docs", 1000, 9)
    ours = least("build", folder / "docs", folder / "ours.db")
    print(f"first index: {ours['cpu']:.2f} s ({ours['chunks']:.0f} chunks)")
    for part in ("bare", "bare_in_tokens"):
        script = least(part, folder / "docs", folder / f"{part}.db")
        print(f"  script, {part}: {script['cpu']:.2f} s ({script['chunks']:.0f} chunks)", end=": ")
        print(f"{ours['cpu'] / script['cpu']:.2f}x (goal 1.5x)")
    again = least("build", folder / "docs", folder / "ours.db")
    listed = least("list_and_hash", folder / "docs", folder / "none")
    print(
        f"again, unchanged: {again['embedded']:.0f} texts embedded, {again['cpu']:.3f} s, listing and hashing", end=" "
    )
    print(f"{listed['cpu']:.3f} s: {again['cpu'] / listed['cpu']:.2f}x (goal 2x)")


def row_memory(folder: Path) -> None:
    """Compare the memory of a small and a large build."""
    peaks = []
    for files in (1000, 20_000):
        make_corpus(folder / f"{files}", files, 2)
        peaks.append(measured("build", folder / f"{files}", folder / f"{files}.db")["peak"])
    print(
        f"memory: {peaks[0]:.0f} MB for 1,000 files, {peaks[1]:.0f} for 20,000: {peaks[1] / peaks[0]:.2f}x (goal 1.3x)"
    )


def row_query(folder: Path) -> None:
    """Compare a search with numpy and FTS5 by hand."""
    words = " ".join(topics.values()).split()
    draw = random.Random(1)  # noqa: S311
    texts = [" ".join(draw.choices(words, k=100)) for _ in range(ROWS)]
    chance = np.random.default_rng(1)
    index = SQLiteIndex(folder / "index.db", MODEL, "1")
    for document in range(ROWS // 1000):
        named = [Chunk(f"{document}-{n}", f"{document}", "", texts[document * 1000 + n]) for n in range(1000)]
        vectors = normalized(chance.standard_normal((1000, DIMENSIONS), np.float32))
        index.replace(f"{document}", Known("1", "1"), named, vectors)
    questions = [" ".join(chance.choice(texts).split()[:8]) for _ in range(40)]
    vectors = hash_embed(questions)
    index.search(questions[0], vectors[0], 10)
    start = time.process_time()
    for question, vector in zip(questions, vectors, strict=True):
        index.search(question, vector, 10)
    ours = (time.process_time() - start) / len(questions)
    by_hand = query_by_hand(folder / "index.db", questions, vectors)
    print(f"query over {ROWS:,} x {DIMENSIONS}: {ours * 1000:.1f} ms, numpy and pruned FTS5 by hand", end=" ")
    print(f"{by_hand * 1000:.1f} ms: {ours / by_hand:.2f}x (goal 1.5x)")


def query_by_hand(file: Path, questions: list[str], vectors: Vectors) -> float:
    """Return the CPU seconds of a question whose rare words are known, with numpy and FTS5."""
    database = sqlite3.connect(file)
    blobs = b"".join(blob for (blob,) in database.execute("SELECT vector FROM vectors ORDER BY row"))
    matrix = np.frombuffer(blobs, np.float16).reshape(-1, DIMENSIONS).astype(np.float32)
    queries = [rare_words(database, question) for question in questions]
    start = time.process_time()
    for query, vector in zip(queries, vectors, strict=True):
        scores = matrix @ vector
        best = np.argpartition(-scores, 50)[:50]
        best[np.argsort(-scores[best])]
        database.execute("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank LIMIT 50", (query,)).fetchall()
    return (time.process_time() - start) / len(questions)


def rare_words(database: sqlite3.Connection, question: str) -> str:
    """Return a query for the rarest words of a question that occur in 5,000 rows together."""
    count = "SELECT count(*) FROM words WHERE words MATCH ?"
    terms = [f'"{term}"' for term in search_terms(question)]
    counted = sorted((database.execute(count, (term,)).fetchone()[0], term) for term in terms)
    rows, rare = 0, []
    for matches, term in counted:
        rows += matches
        if rows <= RANKED_ROWS:
            rare.append(term)
    return " OR ".join(rare) or " AND ".join(terms)


def row_quality(folder: Path) -> None:
    """Find a documentation text of the standard library by its first sentence, which is not in the index."""
    index = SQLiteIndex(folder / "index.db", MODEL, "1")
    labelled = dict(documented(MODULES))
    for question, text in labelled.items():
        index.replace(question, Known("1", "1"), [Chunk(question, question, "", text)], hash_embed([text]))
    vectors = {question: hash_embed([question])[0] for question in labelled}
    for label, weight in (("FTS5 alone", 0.0), ("FTS5 and offline embedder", OFFLINE_WEIGHT), ("both equal", 1.0)):
        hits = 0
        for question, vector in vectors.items():
            found = index.search(question, vector, 5, weight)
            hits += question in [passage.chunk.path for passage in found if passage.score > 0]
        print(f"recall@5 of {len(labelled)} questions, {label}: {hits / len(labelled):.3f}")


def documented(modules: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the first sentence and the rest of every longer documentation text."""
    for name in modules:
        module = importlib.import_module(name)
        classes = [each for each in vars(module).values() if isinstance(each, type)]
        for member in [each for owner in (module, *classes) for each in vars(owner).values()]:
            first, _, rest = str(getattr(member, "__doc__", None) or "").strip().partition("\n\n")
            if callable(member) and len(first) < 200 and len(rest) > 100:  # noqa: PLR2004
                yield first, rest


def row_kill(folder: Path) -> None:
    """Kill a build 20 times, each time after some batches."""
    make_corpus(folder / "docs", 2000, 9)
    command = [sys.executable, __file__, "--part", "build", str(folder / "docs"), str(folder / "index.db")]
    for kills in range(20):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None  # noqa: S101
            for _ in range(kills % 3 + 1):
                process.stderr.readline()
            process.send_signal(signal.SIGKILL)
    before = SQLiteIndex(folder / "index.db", MODEL, "1").status()
    done = measured("build", folder / "docs", folder / "index.db")
    index = SQLiteIndex(folder / "index.db", MODEL, "1").status()
    expected = sum(len(split(path.name, path.read_text(), 300)) for path in (folder / "docs").iterdir())
    print(f"kill -9, 20 times: {before.documents} documents before the last run,", end=" ")
    print(
        f"{index.documents} of 2000 and {index.chunks} of {expected} chunks after it ({done['embedded']:.0f} embedded)"
    )


ALL = {"index": row_index, "memory": row_memory, "query": row_query, "quality": row_quality, "kill": row_kill}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--part"]:
        run_part(*sys.argv[2:])
    else:
        for row in sys.argv[1:] or ALL:
            with tempfile.TemporaryDirectory() as temporary:
                ALL[row](Path(temporary))
