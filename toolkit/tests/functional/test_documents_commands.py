"""The commands, as a user types them: without a key, with a bad folder, and stopped by Ctrl-C."""

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import pytest

CONFIG = """
[candidates.main]
model = "offline:demo"
[candidates.embedding]
model = "MODEL"
PRICE
[chains]
default = ["main"]
embeddings = ["embedding"]
[budgets]
unlimited = true
"""
RUN = """
from ai_base.cli import create_app
from ai_base.documents.commands import app as documents
from ai_base.settings import AppSettings

app = create_app("ai_base", AppSettings)
app.add_typer(documents, name="documents")
app()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "config" / "prompts").mkdir(parents=True)
    (tmp_path / "documents").mkdir()
    shutil.copy(str(files("ai_base.documents") / "documents.md"), tmp_path / "config" / "prompts")
    write_config(tmp_path, "offline:hashing")
    return tmp_path


def write_config(project: Path, model: str, price: str = "") -> None:
    text = CONFIG.replace("MODEL", model).replace("PRICE", price)
    (project / "config" / "llm.toml").write_text(text)


def start(project: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, "documents", *arguments],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENAI_API_KEY": "sk-test", "LOG_LEVEL": "WARNING", "DOCUMENTS_INDEX": "documents.db"},
    )


def run(project: Path, *arguments: str) -> tuple[int, str, str]:
    process = start(project, *arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_a_folder_is_indexed_and_searched_without_a_key(project: Path) -> None:
    (project / "documents" / "holidays.md").write_text("# Holidays\n\nEmployees have 30 days.")
    (project / "documents" / "travel.md").write_text("# Travel\n\nTrains are paid for.")
    code, out, _ = run(project, "index")
    assert code == 0
    assert out == f"2 documents indexed in 2 chunks, 0 removed, 2 found in {project / 'documents'}.\n"
    assert run(project, "index")[1].startswith("0 documents indexed in 0 chunks")
    assert run(project, "status")[1] == "2 documents in 2 chunks; embeddings of hashing@own.\n"
    code, out, _ = run(project, "search", "how many holidays?", "--limit", "1")
    assert (code, out) == (0, "holidays.md > Holidays\nEmployees have 30 days.\n\n")


def test_too_many_unreadable_documents_fail_the_command(project: Path) -> None:
    (project / "documents" / "a.md").write_text("Text.")
    (project / "documents" / "b\n.pdf").write_bytes(b"%PDF-1.4")
    code, out, err = run(project, "index")
    assert code == 3
    assert out.startswith("1 documents indexed in 1 chunks")
    assert r"left out: 'b\n.pdf': broken PDF" in err
    assert "1 of 2 documents are not in the index, more than 5% of them" in err
    assert "left out" in run(project, "status")[2]


def test_an_empty_folder_is_an_error(project: Path) -> None:
    code, _, err = run(project, "index")
    assert code == 1
    assert "no document matches '*'" in err


def test_a_dry_run_tells_the_cost_and_writes_nothing(project: Path) -> None:
    write_config(project, "openai:text-embedding-3-small", 'price = { input = "1000000", output = "0" }')
    (project / "documents" / "a.md").write_text("x" * 400)
    (project / "documents" / "b.md").write_text("")
    code, out, err = run(project, "index", "--dry-run")
    assert code == 0
    assert "1 documents would be indexed in 1 chunks; 1 of them are not in the cache: about 100 tokens" in out
    assert "about $100" in out
    assert "at most $400" in out
    assert "left out: 'b.md': there is no text in it" in err
    assert run(project, "status")[1].startswith("0 documents in 0 chunks")


def test_an_index_of_another_model_is_told(project: Path) -> None:
    (project / "documents" / "a.md").write_text("Text.")
    assert run(project, "index")[0] == 0
    write_config(project, "openai:text-embedding-3-small")
    code, _, err = run(project, "search", "text")
    assert code == 1
    assert "was built with hashing@own, not with text-embedding-3-small@own" in err


def test_without_a_key_the_best_passage_is_shown_and_labelled(project: Path) -> None:
    (project / "documents" / "a.md").write_text("# A\n\nThe text.")
    (project / "documents" / "b.md").write_text("Other words.")
    run(project, "index")
    code, out, _ = run(project, "ask", "What is the text?")
    assert (code, out) == (0, "[offline, no model was asked] The best passage:\n  “The text.”\n    a.md > A\n")


def test_other_commands_do_not_wait_for_the_libraries_of_documents(project: Path) -> None:
    script = "import sys, ai_base.documents.commands; print({'numpy', 'obstore', 'pydantic_ai'} & {*sys.modules})"
    out = subprocess.run([sys.executable, "-c", script], cwd=project, capture_output=True, text=True, check=True).stdout
    assert out == "set()\n"


def test_ctrl_c_loses_nothing(project: Path) -> None:
    for number in range(1500):
        (project / "documents" / f"{number}.md").write_text(f"Document {number}.")
    process = start(project, "index")
    index = project / "documents.db-wal"
    while process.poll() is None and not (index.exists() and index.stat().st_size > 500_000):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "the next run goes on from there" in err
    before = int(run(project, "status")[1].split()[0].replace(",", ""))
    code, out, _ = run(project, "index")
    assert code == 0
    assert 0 < before < 1500
    assert out.startswith(f"{1500 - before:,} documents indexed")
