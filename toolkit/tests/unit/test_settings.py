"""Settings come from the environment, then `.env` of the project's root, which is found the same way everywhere."""

from pathlib import Path

import pytest

from ai_base import settings
from ai_base.llm.settings import LLMSettings
from ai_base.settings import AppSettings, SettingsError, find_root, load_settings


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, without the settings that the pytest plugin gives every test."""
    for name in ("AI_BASE_ENV_FILE", "DATABASE_URL"):
        monkeypatch.delenv(name)
    root = tmp_path / "project"
    (root / "config").mkdir(parents=True)
    (root / "config/llm.toml").touch()
    (root / "notebooks/deep").mkdir(parents=True)
    (root / ".env").write_text("LOG_LEVEL=error\nDATABASE_URL=sqlite:///data/own.db\n", encoding="utf-8")
    return root


@pytest.mark.parametrize("folder", [".", "notebooks/deep"])
def test_the_root_is_found_from_any_folder_of_the_project(
    project: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / folder)

    assert find_root() == project
    assert load_settings(AppSettings).log_level == "ERROR"
    assert load_settings(LLMSettings).ledger_url == f"sqlite:///{project}/data/own.db"
    assert load_settings(LLMSettings).config_file == project / "config/llm.toml"
    assert load_settings(LLMSettings).prompts_folder == project / "config/prompts"


@pytest.mark.parametrize("layout", ["src/my_app", "site-packages/my_app"])
def test_elsewhere_the_installed_application_tells_the_root(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / layout
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    root = tmp_path if layout.startswith("src") else package  # a wheel carries the configuration in the package
    (root / "config").mkdir()
    (root / "config/llm.toml").touch()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(settings, "_applications", lambda: ["my_app"])

    assert find_root() == root


def test_without_a_project_the_root_is_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "_applications", lambda: ["no_such_package"])

    assert find_root() == tmp_path


@pytest.mark.parametrize("url", ["postgresql://host/name", "sqlite:////absolute.db"])
def test_a_url_that_is_absolute_stays_as_it_is(project: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("DATABASE_URL", url)

    assert load_settings(LLMSettings).ledger_url == url


def test_the_environment_wins_and_empty_variables_do_not_count(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("LOG_LEVEL", "Debug")
    monkeypatch.setenv("DATABASE_URL", "")

    assert load_settings(AppSettings).log_level == "DEBUG"
    assert load_settings(LLMSettings).ledger_url == f"sqlite:///{project}/data/own.db"


def test_every_wrong_value_is_named_and_none_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "hush-1")
    monkeypatch.setenv("LOG_FORMAT", "hush-2")

    with pytest.raises(SettingsError, match=r"^LOG_LEVEL: .*; LOG_FORMAT: ") as caught:
        load_settings(AppSettings)

    assert "hush" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_file_that_is_no_text_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    (project / ".env").write_bytes(b"LOG_LEVEL=\xff")

    with pytest.raises(SettingsError, match=r"\.env: not UTF-8 text"):
        load_settings(AppSettings)
