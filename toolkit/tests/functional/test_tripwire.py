"""A test that would ask a real provider fails, whatever the code under test makes of the error."""

import subprocess
import sys
from pathlib import Path

CARELESS = """
from ai_base.llm.gateway.gateway import Gateway

MODEL = {"model": "openai-chat:x", "base_url": "http://192.0.2.1/v1", "price": {"input": "1", "output": "1"}}
CONFIG = {
    "candidates": {"main": MODEL},
    "chains": {"default": ["main"]},
    "budgets": {"unlimited": True},
    "retry": {"attempts": 1},
}


async def test_careless(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    (tmp_path / "plain.md").write_text("Hello")
    async with Gateway.open(config=CONFIG, prompts=tmp_path, database_url=f"sqlite:///{tmp_path}/x.db") as gateway:
        answer = await gateway.ask("plain", {}, fallback=lambda: "nobody notices")
    assert answer.output == "nobody notices"
"""


def test_a_test_that_reaches_for_a_provider_fails(tmp_path: Path) -> None:
    for kind in ("unit", "functional"):
        (tmp_path / "tests" / kind).mkdir(parents=True)
        (tmp_path / "tests" / kind / "test_careless.py").write_text(CARELESS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-o", "anyio_mode=auto", "--import-mode=importlib", str(tmp_path)]

    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert "a unit test reached for" in result.stdout
    assert "a functional test reached for" in result.stdout
    assert "2 errors" in result.stdout.splitlines()[-1]
