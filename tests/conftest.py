"""The template as a git repository, and one default project to work in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import MOST_OF_THE_LIBRARY, commit, render, run, upstream
from jinja2 import Environment


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the long tests first, so that no worker waits for one at the end. Those with one set-up are adjacent."""
    items.sort(
        key=lambda item: (
            item.path.name != "test_walk.py",  # the longest
            item.get_closest_marker("full") is None,
            "default_project" in getattr(item, "fixturenames", ()),
        )
    )


@pytest.fixture(scope="session", autouse=True)
def _own_copier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the developer's Copier settings and cache out of the tests."""
    folder = tmp_path_factory.mktemp("copier")
    (folder / "settings.yml").write_text("{}", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COPIER_SETTINGS_PATH", str(folder / "settings.yml"))
        patch.setenv("COPIER_CACHE_DIR", str(folder / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _render_faster() -> Iterator[None]:
    """Copier compiles each part of each path anew, and asks git for each file about a setting of Windows' file systems.

    Both together are most of a rendering's time; the tests compile each text once a process, and do not ask.
    """
    compile_source = Environment.compile
    compiled: dict[tuple[object, ...], Any] = {}

    def compile_once(self: Environment, source: Any, *arguments: Any, **options: Any) -> Any:
        key = (type(self), *sorted(self.extensions), repr(source), arguments, *options.items())
        if key not in compiled:
            compiled[key] = compile_source(self, source, *arguments, **options)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Environment, "compile", compile_once)
        patch.setattr("copier._main.Worker._sync_git_index_executable_bit", lambda *_: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _share_the_type_checkers_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Most of a project's first type check reads third-party code, which is the same in every project."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYPY_CACHE_DIR", str(tmp_path_factory.mktemp("mypy")))
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return upstream(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def bare_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template without the library: no answer ends up in its many files, and they take long to render."""
    without = ("template/toolkit", "template/config/prompts/documents.md", "toolkit/", "tests/", "docs/")
    return upstream(tmp_path_factory.mktemp("bare"), without=without)


@pytest.fixture(scope="session")
def thin_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template with a sample of the library's files, for updates that nobody works in afterwards."""
    return upstream(tmp_path_factory.mktemp("thin"), without=MOST_OF_THE_LIBRARY)


def set_up(template: Path, folder: Path, **answers: Any) -> Path:
    """Return a project, set up and committed through its own hooks."""
    project = render(template, folder / "my-app", **answers)
    run("make", "init", cwd=project)
    commit(project)
    return project


def lend(project: Path) -> Iterator[Path]:
    """Lend a project; what a test changes in it is undone afterwards."""
    head = run("git", "rev-parse", "HEAD", cwd=project).stdout.strip()
    yield project
    run("git", "reset", "--quiet", "--hard", head, cwd=project)
    run("git", "clean", "--quiet", "-d", "--force", cwd=project)
    run("cp", ".env.example", ".env", cwd=project)


@pytest.fixture(scope="session")
def default_project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project rendered with no answer at all."""
    return set_up(template, tmp_path_factory.mktemp("default"))


@pytest.fixture(scope="session")
def small_project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose own tests take seconds, for what all projects share and many tests try."""
    return set_up(template, tmp_path_factory.mktemp("small"), capabilities=["notebooks"])


@pytest.fixture
def project(small_project: Path) -> Iterator[Path]:
    yield from lend(small_project)


@pytest.fixture
def whole_project(default_project: Path) -> Iterator[Path]:
    yield from lend(default_project)
