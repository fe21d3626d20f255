"""`make validate-branch` inside a handful of projects that together hold every pair of choices that matters."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from copier import run_update
from harness import CHOICES, commit, environment, redirect, render, run
from plumbum import local

pytestmark = pytest.mark.full

HOSTILE = {
    "project_name": 'He said "hi": 100% C:\\new {x} #1 — é 👩‍💻',
    "project_description": "${{ secrets.X }} $(touch pwned) `id` {{ 7*7 }} {% raw %} '''\"\"\"\\",
    "user_name": 'Renée "Rex" O\'Neil, <the first>',
    "user_email": "renee+x@example.com",
    "package_name": "n" * 40,
}
PROJECTS: dict[str, dict[str, Any]] = {
    "base-3.12": {
        "package_name": "a",
        "capabilities": [],
        "python_version": "3.12",
        "license": "Proprietary",
        "ml_libraries": ["numpy"],
    },
    "agent-3.13": {
        "capabilities": ["llm", "agent", "notebooks"],
        "llm_providers": ["anthropic"],
        "python_version": "3.13",
        "license": "BSD-3-Clause",
        "github_user": "ada-lovelace",
        "ml_libraries": ["polars", "scikit-learn"],
    },
    "documents-3.12": {
        **HOSTILE,
        "capabilities": ["llm", "documents"],
        "llm_providers": CHOICES["llm_providers"],
        "python_version": "3.12",
    },
    "base-3.14": {"capabilities": [], "python_version": "3.14"},
    "llm-3.14": {"capabilities": ["llm", "notebooks"], "python_version": "3.14", "llm_providers": ["google", "groq"]},
    "everything-3.14": {"capabilities": CHOICES["capabilities"], "python_version": "3.14"},
}


@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_validates(template: Path, tmp_path: Path, name: str) -> None:
    answers = PROJECTS[name]
    project = render(template, tmp_path / "project", **answers)
    python = answers.get("python_version", "3.12")
    if run("uv", "python", "find", "--no-project", python, cwd=project, expect=None).returncode:
        pytest.skip(f"uv finds no Python {python} on this machine")

    run("make", "init", cwd=project)
    output = run("make", "validate-branch", cwd=project, env=environment(CI="true")).stdout

    assert "validate-branch: all passed" in output
    assert f"Python {python}." in run(".venv/bin/python", "--version", cwd=project).stdout
    assert not (project / "pwned").exists()
    commit(project)
    wanted = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    for library in answers.get("ml_libraries", []):
        assert any(requirement.startswith(library) for requirement in wanted)
        module = {"scikit-learn": "sklearn"}.get(library, library)
        run(".venv/bin/python", "-c", f"import {module}", cwd=project)


def test_recorded_evals_gate_and_go_with_the_example(template: Path, tmp_path: Path) -> None:
    project = render(template, tmp_path / "project", capabilities=["llm", "evals"], llm_providers=["mistral"])
    prompt = project / "config/prompts/triage.md"
    wording = prompt.read_text("utf-8")

    run("make", "init", cwd=project)
    commit(project)

    prompt.write_text(wording.replace("Triage this", "Please triage this"), encoding="utf-8")
    assert "make eval RECORD=1" in run("make", "test-functional", cwd=project, expect=2).stdout
    run("make", "eval", "RECORD=1", cwd=project)
    run("make", "test-functional", cwd=project)
    commit(project)

    prompt.write_text(wording.replace("<ticket>", "").replace("</ticket>", ""), encoding="utf-8")  # says what is data
    assert "WORSE: category fell from 0.83 to " in run("make", "eval", "RECORD=1", cwd=project, expect=2).stdout
    assert "category fell from 0.83 to " in run("make", "test-functional", cwd=project, expect=2).stdout
    assert "category" in run("make", "eval-compare", "FROM=HEAD", cwd=project, expect=2).stdout
    run("git", "checkout", "--quiet", ".", cwd=project)

    output = run("make", "eval", "LIVE=1", "REPEAT=2", "HTML=eval.html", cwd=project).stdout
    assert "noise of category: two runs differ by up to 0.000" in output
    assert "nothing moved in 5 cases" in run("make", "drift", "LIMIT=5", cwd=project).stdout
    assert run("git", "status", "--porcelain", cwd=project).stdout == ""

    run("make", "remove-example", cwd=project)
    assert "validate-branch: all passed" in run("make", "validate-branch", cwd=project).stdout
    assert "docs/evals.md shows one" in run("make", "eval", cwd=project, expect=2).stdout
    assert not (project / "evals").exists()


def test_where_the_example_is_gone_evals_and_documents_are_switched_on(template: Path, tmp_path: Path) -> None:
    project = render(template, tmp_path / "project", package_name="shop", capabilities=["llm"])
    run("make", "init", cwd=project)
    commit(project)
    run("make", "remove-example", cwd=project)
    commit(project)

    with local.env(**redirect(template)):  # Copier's git sees plumbum's environment
        run_update(
            project, data={"capabilities": ["llm", "documents", "evals"]}, defaults=True, overwrite=True, quiet=True
        )

    assert run("git", "ls-files", "--unmerged", cwd=project).stdout == ""
    run("make", "sync", cwd=project)
    assert "docs/evals.md shows one" in run("make", "eval", cwd=project, expect=2).stdout
    page = (project / "docs/evals.md").read_text("utf-8")
    for name, text in re.findall(r'^```\w+ title="([^"]+)"\n(.+?)^```$', page, re.MULTILINE | re.DOTALL):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text, encoding="utf-8")
    (project / "config/prompts/summary.md").write_text("Summarize this ticket: {{ ticket }}\n", encoding="utf-8")
    assert "accepted: " in run("make", "eval", "RECORD=1", "ACCEPT=1", cwd=project).stdout
    assert "validate-branch: all passed" in run("make", "validate-branch", cwd=project).stdout


def test_evals_of_ones_own_stay_when_the_example_goes(template: Path, tmp_path: Path) -> None:
    project = render(template, tmp_path / "project", package_name="shop", capabilities=["llm", "evals"])
    run("make", "init", cwd=project)
    own = project / "src/shop/evals.py"
    own.write_text('"""Ours."""\n\nDATASETS: list[str] = []\n', encoding="utf-8")
    commit(project, "feat: ours", "--no-verify")

    run("make", "remove-example", cwd=project)

    assert own.read_text("utf-8") == '"""Ours."""\n\nDATASETS: list[str] = []\n'
    assert (project / "tests/functional/test_evals.py").exists()
