"""The commands that ask the AI: their output, what they say when it fails, and how soon the others start."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from example_app import app
from typer.testing import CliRunner, Result

from ai_base.cli import create_app
from ai_base.errors import AIBaseError
from ai_base.settings import AppSettings

pytestmark = pytest.mark.slow

CONFIG = Path(__file__).parents[1] / "example" / "config" / "llm.toml"
TICKET = "Since the update the app crashes when I open it."


def triage(tmp_path: Path, stdin: str = TICKET, **environment: str) -> Result:
    settings = {"LLM_CONFIG": str(CONFIG), "DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.db'}", "LOG_LEVEL": "ERROR"}
    return CliRunner().invoke(app, ["triage", "-"], input=stdin, env=settings | environment)


def test_a_ticket_is_triaged_without_a_key_and_the_output_says_so(tmp_path: Path) -> None:
    result = triage(tmp_path)

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["category"] == "bug"
    assert "the offline model computed this from the prompt's words, $0.00" in result.stderr


def test_a_failure_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    broken = tmp_path / "llm.toml"
    broken.write_text("[candidates]\nx =\n", encoding="utf-8")

    result = triage(tmp_path, LLM_CONFIG=str(broken))

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"{broken}:2: ")
    assert result.stderr.count("\n") == 1


def test_what_is_not_text_is_refused(tmp_path: Path) -> None:
    ticket = tmp_path / "ticket.txt"
    ticket.write_bytes(b"\xff")

    result = CliRunner().invoke(app, ["triage", str(ticket)], env={"LLM_CONFIG": str(CONFIG)})

    assert (result.exit_code, result.stderr) == (1, f"{ticket}: not UTF-8 text (invalid start byte at byte 0)\n")


def test_the_other_commands_load_no_client_library() -> None:
    heavy = ["pydantic_ai", "openai", "genai_prices", "jinja2", "httpx2", "psycopg", "matplotlib"]
    script = f"import sys; import example_app; print(*set({heavy}) & set(sys.modules))"
    example = CONFIG.parents[1]

    result = subprocess.run(
        [sys.executable, "-c", script], cwd=example, capture_output=True, text=True, check=True, timeout=300
    )

    assert result.stdout.strip() == ""


def read_terminal(*options: str, cwd: Path) -> str:
    """Run the example on a terminal, as a person does; return what the terminal shows."""
    screen, terminal = os.openpty()
    os.set_blocking(screen, True)
    (cwd / "ticket.txt").write_text(TICKET, encoding="utf-8")
    environment = {"LLM_CONFIG": str(CONFIG), "DATABASE_URL": "sqlite:///ledger.db", "LOG_LEVEL": "INFO"}
    command = [sys.executable, str(CONFIG.parents[1] / "example_app.py"), *options, "triage", "ticket.txt"]
    with subprocess.Popen(
        command, cwd=cwd, env=os.environ | environment, stdin=terminal, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while piece := os.read(screen, 65_536):
                shown += piece
        os.close(screen)
        assert process.wait(timeout=300) == 0
    return shown.decode().replace("\r\n", "\n")


def test_a_person_at_a_terminal_reads_the_answer_and_one_line(tmp_path: Path) -> None:
    answer, line, rest = read_terminal(cwd=tmp_path).rpartition("No model was asked: ")

    assert json.loads(answer)["category"] == "bug"
    assert (line + rest).count("\n") == 1


def test_with_verbose_the_log_is_on_the_terminal_as_well(tmp_path: Path) -> None:
    shown = read_terminal("-v", cwd=tmp_path)

    assert "llm attempt" in shown
    assert "llm interaction" in shown


def test_the_program_is_called_as_the_project_is() -> None:
    assert CliRunner().invoke(app, ["--help"]).stdout.split("\n")[1].startswith(" Usage: ai-base [OPTIONS] COMMAND")


def test_an_error_of_several_lines_keeps_its_lines() -> None:
    """Such as one that shows a difference, or a table of the configuration."""
    wrong = create_app("ai_base", AppSettings)

    @wrong.command()
    def fail() -> None:
        raise AIBaseError("two prompts:\n-one\n+other")

    result = CliRunner().invoke(wrong, ["fail"])

    assert (result.exit_code, result.stderr) == (1, "two prompts:\n-one\n+other\n")


FAILING_COMMAND = """
from example_app import app

@app.command()
def fail() -> None:
    raise ValueError("ada@example.com \\x1b[2J")

app(["fail"])
"""


def test_an_unexpected_error_shows_no_terminal_escape_codes(tmp_path: Path) -> None:
    """Such an error is a defect of the application; its traceback goes through the log, which scrubs it."""
    script = tmp_path / "failing.py"
    script.write_text(FAILING_COMMAND, encoding="utf-8")
    environment = {"LLM_CONFIG": str(CONFIG), "PYTHONPATH": str(CONFIG.parents[1]), "LOG_FORMAT": "console"}

    result = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        check=False,
        timeout=300,
    )

    assert result.returncode == 1
    assert b"ValueError" in result.stderr
    assert b"ada@example.com" not in result.stderr
    assert b"\x1b" not in result.stderr
