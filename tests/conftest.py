"""The template as a git repository, and one default project to work in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import render, run, upstream


@pytest.fixture(scope="session", autouse=True)
def _own_copier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the developer's Copier settings and cache out of the tests."""
    folder = tmp_path_factory.mktemp("copier")
    (folder / "settings.yml").write_text("{}", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COPIER_SETTINGS_PATH", str(folder / "settings.yml"))
        patch.setenv("COPIER_CACHE_DIR", str(folder / "cache"))
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return upstream(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def default_project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project rendered with no answer at all, set up and committed through its own hooks."""
    project = render(template, tmp_path_factory.mktemp("work") / "my-app")
    run("make", "init", cwd=project)
    run("git", "add", "--all", cwd=project)
    run("git", "commit", "--quiet", "--message", "feat: first commit", cwd=project)
    return project


@pytest.fixture
def project(default_project: Path) -> Iterator[Path]:
    """Lend the default project; what a test changes in it is undone afterwards."""
    head = run("git", "rev-parse", "HEAD", cwd=default_project).stdout.strip()
    yield default_project
    run("git", "reset", "--quiet", "--hard", head, cwd=default_project)
    run("git", "clean", "--quiet", "-d", "--force", cwd=default_project)
    run("cp", ".env.example", ".env", cwd=default_project)
