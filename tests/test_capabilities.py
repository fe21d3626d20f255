"""Capabilities are switched on and off by an update, which leaves what is the user's own as it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from copier import run_update
from harness import commit, redirect, render, run
from plumbum import local

EXAMPLE = {
    "documents": ["config/prompts/documents.md", "documents/plans.md", "tests/functional/test_documents.py"],
    "agent": ["config/prompts/assistant.md", "src/shop/assistant.py", "tests/functional/test_assistant.py"],
    "evals": ["evals/triage/cases.jsonl", "src/shop/evals.py", "tests/functional/test_evals.py"],
}
LIBRARY = {"documents": "toolkit/src/ai_base/documents/ask.py", "agent": "toolkit/src/ai_base/agent/loop.py"}
LIBRARY |= {"evals": "toolkit/src/ai_base/evals/run.py"}
# What evaluates the example is not brought to a project that may have changed or deleted the example.
EVALUATED = [*EXAMPLE["evals"], "evals/triage/replies.jsonl", "evals/triage/baseline.json"]
EVERYTHING = ["llm", "documents", "agent", "evals"]


@pytest.fixture(autouse=True)
def _released(thin_template: Path) -> Iterator[None]:
    with local.env(**redirect(thin_template)):  # Copier's git sees plumbum's environment
        yield


def started(template: Path, folder: Path, *capabilities: str) -> Path:
    project = render(template, folder, project_name="Shop", capabilities=list(capabilities))
    run("git", "init", "--quiet", cwd=project)
    commit(project)
    return project


def update(project: Path, **answers: Any) -> None:
    run_update(project, data=answers, defaults=True, overwrite=True, quiet=True)
    assert run("git", "ls-files", "--unmerged", cwd=project).stdout == ""
    commit(project, "chore: update", "--allow-empty")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def contents(project: Path) -> dict[str, str]:
    names = run("git", "ls-files", cwd=project).stdout.splitlines()
    return {name: (project / name).read_text("utf-8") for name in names if name != "README.md"}


def test_all_are_switched_on_and_off_again(thin_template: Path, tmp_path: Path) -> None:
    project = started(thin_template, tmp_path / "shop", "llm")
    before = contents(project)

    update(project, capabilities=EVERYTHING)

    fresh = contents(started(thin_template, tmp_path / "fresh", *EVERYTHING))
    assert contents(project) == {name: text for name, text in fresh.items() if name not in EVALUATED}
    assert {*EVALUATED} < {*fresh}
    update(project, capabilities=["llm"])
    config = contents(project).pop("config/llm.toml")
    assert contents(project) | {"config/llm.toml": ""} == before | {"config/llm.toml": ""}
    assert "[candidates.embedding]" in config  # the configuration is the user's own
    assert "[budgets.cost_centers.evals]" in config


def test_switching_evals_on_merges_its_budget_into_a_configuration_that_was_edited(
    thin_template: Path, tmp_path: Path
) -> None:
    project = started(thin_template, tmp_path / "shop", "llm")
    config = project / "config/llm.toml"
    edit(config, 'support = { day = "5", month = "100" }', 'support = { day = "7" }\nsales = { day = "1" }')
    edit(config, "max_bytes = 100_000", "max_bytes = 50_000")
    commit(project)

    update(project, capabilities=["llm", "evals"])

    text = config.read_text("utf-8")
    assert 'sales = { day = "1" }\n' in text
    assert "max_bytes = 50_000" in text
    assert (
        '[budgets.cost_centers.evals]  # `make eval LIVE=1`, `make eval RECORD=1` and `make drift`\nday = "2"' in text
    )


def test_switching_documents_on_merges_its_model_into_a_configuration_that_was_edited(
    thin_template: Path, tmp_path: Path
) -> None:
    project = started(thin_template, tmp_path / "shop", "llm")
    config = project / "config/llm.toml"
    edit(config, 'overall = { day = "20", month = "200" }', 'overall = { day = "7" }')
    edit(config, 'model = "offline:"\n', 'model = "openai:gpt-5.4-mini"\napi_key_env = "OUR_KEY"\n')
    ours = project / "documents/plans.md"
    ours.parent.mkdir()
    ours.write_text("Ours.\n", encoding="utf-8")
    commit(project)

    update(project, capabilities=["llm", "documents"])

    text = config.read_text("utf-8")
    assert 'overall = { day = "7" }' in text
    assert 'api_key_env = "OUR_KEY"' in text
    assert '[candidates.embedding]\nmodel = "offline:hashing"' in text
    assert 'embeddings = ["embedding"]' in text
    assert ours.read_text("utf-8") == "Ours.\n"


@pytest.mark.parametrize("capability", EXAMPLE)
def test_the_example_is_the_users_own_and_is_not_brought_back(
    thin_template: Path, tmp_path: Path, capability: str
) -> None:
    project = started(thin_template, tmp_path / "shop", *EVERYTHING)
    deleted, *edited = EXAMPLE[capability]
    (project / deleted).unlink()
    for name in edited:
        (project / name).write_text("ours\n", encoding="utf-8")
    (project / LIBRARY[capability]).unlink()
    (project / "config/llm.toml").write_text("# ours\n", encoding="utf-8")
    commit(project)
    before = contents(project)

    update(project)

    assert contents(project) == before
