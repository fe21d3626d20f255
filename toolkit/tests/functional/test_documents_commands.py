"""The commands, as a user types them: without a key, with a bad folder, and stopped by Ctrl-C."""

import shutil
import signal
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from document_cases import embed_reply
from typer.testing import CliRunner

from ai_base.cli import create_app
from ai_base.documents.commands import app as documents
from ai_base.settings import AppSettings
from ai_base.testing.loopback import LoopbackProvider, Reply

pytestmark = pytest.mark.slow

CONFIG = """
[candidates.main]
model = "offline:demo"
[candidates.embedding]
model = "MODEL"
OPTIONS
[chains]
default = ["main"]
embeddings = ["embedding"]
[budgets]
unlimited = true
"""
BATCH = 64
"""Chunks, instead of many more."""
INDEX = f"""
import signal

from ai_base.cli import create_app
from ai_base.documents import build
from ai_base.documents.commands import app as documents
from ai_base.settings import AppSettings

build.BATCH = {BATCH}
app = create_app("ai_base", AppSettings)
app.add_typer(documents, name="documents")
signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests run in the background, it is ignored
app(["documents", "index"])
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "config" / "prompts").mkdir(parents=True)
    (tmp_path / "documents").mkdir()
    shutil.copy(str(files("ai_base.documents") / "documents.md"), tmp_path / "config" / "prompts")
    write_config(tmp_path, "offline:hashing")
    monkeypatch.chdir(tmp_path)
    for name, value in {"OPENAI_API_KEY": "sk-test", "LOG_LEVEL": "WARNING", "DOCUMENTS_INDEX": "documents.db"}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def write_config(project: Path, model: str, options: str = "") -> None:
    text = CONFIG.replace("MODEL", model).replace("OPTIONS", options)
    (project / "config" / "llm.toml").write_text(text)


def run(*arguments: str) -> tuple[int, str, str]:
    """Run a command in the project's folder."""
    app = create_app("ai_base", AppSettings)
    app.add_typer(documents, name="documents")
    done = CliRunner().invoke(app, ["documents", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_a_folder_is_indexed_and_searched_without_a_key(project: Path) -> None:
    (project / "documents" / "holidays.md").write_text("# Holidays\n\nEmployees have 30 days.")
    (project / "documents" / "travel.md").write_text("# Travel\n\nTrains are paid for.")
    code, out, _ = run("index")
    assert code == 0
    assert out == f"2 documents indexed in 2 chunks, 0 removed, 2 found in {project / 'documents'}.\n"
    assert run("index")[1].startswith("0 documents indexed in 0 chunks")
    assert run("status")[1] == "2 documents in 2 chunks; embeddings of hashing@own.\n"
    code, out, _ = run("search", "how many holidays?", "--limit", "1")
    assert (code, out) == (0, "holidays.md > Holidays\nEmployees have 30 days.\n\n")


def test_too_many_unreadable_documents_fail_the_command(project: Path) -> None:
    (project / "documents" / "a.md").write_text("Text.")
    (project / "documents" / "b\n.pdf").write_bytes(b"%PDF-1.4")
    code, out, err = run("index")
    assert code == 3
    assert out.startswith("1 documents indexed in 1 chunks")
    assert r"left out: 'b\n.pdf': broken PDF" in err
    assert "1 of 2 documents are not in the index, more than 5% of them" in err
    assert "left out" in run("status")[2]


@pytest.mark.usefixtures("project")
def test_an_empty_folder_is_an_error() -> None:
    code, _, err = run("index")
    assert code == 1
    assert "no document matches '*'" in err


def test_a_dry_run_tells_the_cost_and_writes_nothing(project: Path) -> None:
    write_config(project, "openai:text-embedding-3-small", 'price = { input = "1000000", output = "0" }')
    (project / "documents" / "a.md").write_text("x" * 400)
    (project / "documents" / "b.md").write_text("")
    code, out, err = run("index", "--dry-run")
    assert code == 0
    assert "1 documents would be indexed in 1 chunks; 1 of them are not in the cache: about 100 tokens" in out
    assert "about $100" in out
    assert "at most $400" in out
    assert "left out: 'b.md': there is no text in it" in err
    assert run("status")[1].startswith("0 documents in 0 chunks")


def test_an_index_of_another_model_is_told(project: Path) -> None:
    (project / "documents" / "a.md").write_text("Text.")
    assert run("index")[0] == 0
    write_config(project, "openai:text-embedding-3-small")
    code, _, err = run("search", "text")
    assert code == 1
    assert "was built with hashing@own, not with text-embedding-3-small@own" in err


def test_without_a_key_the_best_passage_is_shown_and_labelled(project: Path) -> None:
    (project / "documents" / "a.md").write_text("# A\n\nThe text.")
    (project / "documents" / "b.md").write_text("Other words.")
    run("index")
    code, out, _ = run("ask", "What is the text?")
    assert (code, out) == (0, "[offline, no model was asked] The best passage:\n  “The text.”\n    a.md > A\n")


def test_other_commands_do_not_wait_for_the_libraries_of_documents(project: Path) -> None:
    script = "import sys, ai_base.documents.commands; print({'numpy', 'obstore', 'pydantic_ai'} & {*sys.modules})"
    out = subprocess.run([sys.executable, "-c", script], cwd=project, capture_output=True, text=True, check=True).stdout
    assert out == "set()\n"


def test_an_edited_paragraph_embeds_one_chunk(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pydantic_ai.models.ALLOW_MODEL_REQUESTS", True)
    parts = [f"## Part {number}\n\nText of part {number}." for number in range(9)]
    with LoopbackProvider(embed_reply) as provider:
        write_config(project, "openai:text-embedding-3-small", f'base_url = "{provider.url}"')
        for edited in ("## Part 4\n\nText of part 4.", "## Part 4\n\nEdited."):
            parts[4] = edited
            (project / "documents" / "a.md").write_text("\n\n".join(parts))
            assert run("index")[1].startswith("1 documents indexed in 9 chunks")
    first, second = [request.body["input"] for request in provider.requests]
    assert (len(first), second) == (9, ["Part 4\n\nEdited."])


def test_ctrl_c_loses_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2 * BATCH):
        (project / "documents" / f"{number}.md").write_text(f"Document {number}.")
    second = Event()

    def answer_once(body: dict[str, Any]) -> Reply:
        if provider.count == 1:
            return embed_reply(body)
        second.set()
        return Reply(hang=True)

    monkeypatch.setattr("pydantic_ai.models.ALLOW_MODEL_REQUESTS", True)
    with LoopbackProvider(answer_once) as provider:
        write_config(project, "openai:text-embedding-3-small", f'base_url = "{provider.url}"')
        process = subprocess.Popen([sys.executable, "-c", INDEX], stderr=subprocess.PIPE, text=True)
        assert second.wait(300)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 130, err
        assert "the next run goes on from there" in err
        assert run("status")[1].startswith(f"{BATCH} documents in {BATCH} chunks")
        provider.behaviour = embed_reply
        assert run("index")[1].startswith(f"{BATCH} documents indexed")
        paid = [text for number in (0, 2) for text in provider.requests[number].body["input"]]
    assert sorted(paid) == sorted(f"Document {number}." for number in range(2 * BATCH))


def test_recall_is_printed_next_to_that_by_words_alone(project: Path) -> None:
    for name, text in {"a": "# Prices\n\nTea costs two euros.", "b": "# Hours\n\nWe open at nine."}.items():
        (project / "documents" / f"{name}.md").write_text(text)
    labels = (
        '"What does tea cost?" = "a.md > Prices"\n"When do you open?" = "b.md > Hours"\n"Open?" = "a.md > Prices"\n'
    )
    (project / "labels.toml").write_text(labels)
    assert run("index")[0] == 0
    assert run("recall", "labels.toml")[1] == "recall@5 of 3 questions: 1.000; by words alone: 0.667\n"


def test_labels_that_are_none_are_an_error(project: Path) -> None:
    (project / "labels.toml").write_text('"open')
    code, _, err = run("recall", "labels.toml")
    assert code != 0
    assert "labels.toml: not TOML: " in err
