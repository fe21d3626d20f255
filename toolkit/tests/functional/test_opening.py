"""`Gateway.open()` finds configuration, prompts and ledger like the command line, wherever it is called."""

import sys
from pathlib import Path
from typing import Any

import pytest
from example_app import app
from gateway_cases import answered
from typer.testing import CliRunner

from ai_base.llm import Gateway
from ai_base.llm.errors import BudgetExceededError, ConfigError
from ai_base.testing.doubles import RuleModel

CONFIG = """\
[candidates.main]
model = "offline:"

[chains]
default = ["main"]

[budgets]
overall = { day = "1" }
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a `.env`, which names its ledger; nothing comes from the environment."""
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("AI_BASE_ENV_FILE")
    root = tmp_path / "project"
    (root / "config" / "prompts").mkdir(parents=True)
    (root / "notebooks" / "deep").mkdir(parents=True)
    (root / "config" / "llm.toml").write_text(CONFIG, encoding="utf-8")
    (root / "config" / "prompts" / "plain.md").write_text("{" + "{ question }" + "}", encoding="utf-8")
    (root / ".env").write_text("DATABASE_URL=sqlite:///shared.db\n", encoding="utf-8")
    return root


@pytest.mark.parametrize("folder", [".", "notebooks", "notebooks/deep"])
async def test_it_opens_in_any_folder_of_the_project(
    project: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / folder)
    async with Gateway.open() as gateway:
        answer = await gateway.ask("plain", {"question": "Why?"})

    assert answer.source == "model"
    assert (project / "shared.db").exists()


async def test_it_opens_from_elsewhere_where_the_application_is_installed(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = project / "src" / "installed_app"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(project / "src"))
    monkeypatch.setattr("ai_base.settings._applications", lambda: ["installed_app"])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    async with Gateway.open() as gateway:
        await gateway.ask("plain", {"question": "Why?"})

    assert (project / "shared.db").exists()
    assert list(elsewhere.iterdir()) == []
    sys.modules.pop("installed_app", None)


def test_the_command_line_reads_the_ledger_that_a_notebook_writes(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "notebooks")
    with Gateway.open_blocking() as ask:
        ask("plain", {"question": "Why?"}, cost_center="notebook")
    monkeypatch.chdir(project)

    listed = CliRunner().invoke(app, ["interactions"])

    assert "notebook" in listed.stdout


async def test_a_cap_is_shared_with_everything_that_uses_the_project(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.replace('"1"', '"0.003"').replace(
        '"offline:"', '"openai-chat:priced"\nprice = { input = "0", output = "2" }\nmax_output_tokens = 1000'
    )
    (project / "config" / "llm.toml").write_text(config, encoding="utf-8")
    models: dict[str, Any] = {"main": RuleModel({".*": answered("x", 100, 1000)})}
    monkeypatch.chdir(project)
    async with Gateway.open(models=models) as first:
        await first.ask("plain", {"question": "Why?"})
    monkeypatch.chdir(project / "notebooks")
    async with Gateway.open(models=models) as second:
        with pytest.raises(BudgetExceededError, match=r"spent \$0.002"):
            await second.ask("plain", {"question": "Why?"})


async def test_without_a_configuration_the_error_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AI_BASE_ENV_FILE")
    with pytest.raises(ConfigError, match=r"config/llm\.toml"):
        async with Gateway.open():
            pytest.fail("it opened")
