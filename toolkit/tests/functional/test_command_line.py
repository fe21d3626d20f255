"""The commands that ask the AI: their output, what they say when it fails, and how soon the others start."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from example_app import app
from typer.testing import CliRunner, Result

pytestmark = pytest.mark.usefixtures("own_logging")

CONFIG = Path(__file__).parents[1] / "example" / "config" / "llm.toml"
TICKET = "Since the update the app crashes when I open it."


def triage(tmp_path: Path, stdin: str = TICKET, **environment: str) -> Result:
    settings = {"LLM_CONFIG": str(CONFIG), "DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.db'}", "LOG_LEVEL": "ERROR"}
    return CliRunner().invoke(app, ["triage", "-"], input=stdin, env=settings | environment)


def test_a_ticket_is_triaged_without_a_key_and_the_output_says_so(tmp_path: Path) -> None:
    result = triage(tmp_path)

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["category"] == "bug"
    assert "offline" in result.stderr
    assert "$0" in result.stderr


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
        [sys.executable, "-c", script], cwd=example, capture_output=True, text=True, check=True, timeout=60
    )

    assert result.stdout.strip() == ""
