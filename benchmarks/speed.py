"""What the conveniences cost: each against the bare thing, side by side in one run, as a ratio of medians.

Prints the table that the README shows. The two of a pair take turns, so that a slow spell hits both.
"""

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from harness import environment, redirect, render, run, upstream  # noqa: E402

EMPTY_TEST = """\
from ai_base.llm import Gateway
from ai_base.testing.doubles import ScriptedModel

from my_app import cli, settings, tickets, triage


def test_nothing() -> None:
    assert all((Gateway, ScriptedModel, cli, settings, tickets, triage))
"""


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def compare(name: str, ours: Callable[[], object], bare: Callable[[], object], rounds: int, bound: float) -> bool:
    """Print one row: ours over bare, the medians, the bound; return whether the bound holds."""
    ours()
    bare()
    pairs = [(seconds(ours), seconds(bare)) for _ in range(rounds)]
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"| {name} | {mine:.2f} s | {theirs:.2f} s | {mine / theirs:.2f} | {bound} |", flush=True)
    return bool(mine / theirs <= bound)


def rendering(folder: Path, template: Path) -> bool:
    """Rendering the template against rendering one that holds a single file."""
    single = folder / "single"
    (single / "template").mkdir(parents=True)
    (single / "copier.yml").write_text("_subdirectory: template\nproject_name: x\n", encoding="utf-8")
    (single / "template" / "README.md.jinja").write_text("# {{ project_name }}\n", encoding="utf-8")
    for command in ("init --quiet", "add --all", "commit --quiet --message one", "tag v1.0.0"):
        run("git", *command.split(), cwd=single)

    def copy(source: Path) -> None:
        target = folder / "rendered"
        run("uv", "tool", "run", "--quiet", "copier", "copy", "--quiet", "--defaults", source, target, cwd=folder)
        shutil.rmtree(target)

    return compare("rendering / a one-file template", lambda: copy(template), lambda: copy(single), 9, 2.5)


def validating(folder: Path, template: Path) -> bool:
    """`make init && make validate-branch` against the same tools, typed by hand."""
    ours, bare = (render(template, folder / name / "my-app") for name in ("ours", "bare"))
    for project in (ours, bare):
        run("make", "init", cwd=project)

    def fresh(project: Path) -> None:
        for name in (".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".git"):
            shutil.rmtree(project / name, ignore_errors=True)

    def by_make() -> None:
        fresh(ours)
        run("make", "init", cwd=ours)
        run("make", "validate-branch", cwd=ours)

    def by_hand() -> None:
        fresh(bare)
        run("git", "init", "--quiet", cwd=bare)
        run("uv", "sync", "--locked", cwd=bare)
        run(".venv/bin/pre-commit", "install", cwd=bare)
        for tool in (
            "ruff format --check",
            "ruff check",
            "lint-imports",
            "mypy",
            "pytest tests/unit tests/functional --cov",
        ):
            program, *arguments = tool.split()
            run(f".venv/bin/{program}", *arguments, cwd=bare)

    return compare("make init && make validate-branch / the bare tools", by_make, by_hand, 3, 1.15)


def unit_tests(folder: Path, template: Path) -> bool:
    """`make test-unit` against one empty test in a copy, which imports what the project imports."""
    project, empty = (render(template, folder / name / "my-app") for name in ("unit", "empty"))
    for one in (project, empty):
        run("make", "init", cwd=one)
    shutil.rmtree(empty / "tests" / "unit")
    (empty / "tests" / "unit").mkdir()
    (empty / "tests" / "unit" / "test_nothing.py").write_text(EMPTY_TEST, encoding="utf-8")
    return compare(
        "make test-unit / an empty pytest run that imports as much",
        lambda: run("make", "test-unit", cwd=project),
        lambda: run(".venv/bin/pytest", "tests/unit", cwd=empty),
        15,
        1.5,
    )


def markdown_commit(folder: Path, template: Path) -> bool:
    """A commit that touches only Markdown, with the hooks, in seconds: a bound that a person feels."""
    project = render(template, folder / "commit" / "my-app")
    run("make", "init", cwd=project)
    run("git", "add", "--all", cwd=project)
    run("git", "commit", "--quiet", "--no-verify", "--message", "feat: first", cwd=project)

    def commit(*arguments: str) -> float:
        (project / "README.md").write_text(f"# Changed at {time.time()}\n", encoding="utf-8")
        run("git", "add", "--all", cwd=project)
        return seconds(lambda: run("git", "commit", "--quiet", *arguments, "--message", "docs: change", cwd=project))

    commit()
    hooks = statistics.median(commit() - commit("--no-verify") for _ in range(7))
    print(f"| hooks of a Markdown commit | {hooks:.2f} s | | | 1 s |", flush=True)
    return hooks < 1


def updating(folder: Path, template: Path) -> bool:
    """`make template-update` against a bare `copier update` and the same checks; both merge one changed line."""
    for name in ("ours", "bare"):
        project = render(template, folder / f"update-{name}" / "my-app")
        run("make", "init", cwd=project)
        run("git", "add", "--all", cwd=project)
        run("git", "commit", "--quiet", "--no-verify", "--message", "feat: first", cwd=project)
    ours, bare = (folder / f"update-{name}" / "my-app" for name in ("ours", "bare"))
    agents = template / "template" / "AGENTS.md.jinja"
    agents.write_text(agents.read_text("utf-8") + "- Be brief.\n", encoding="utf-8")
    run("git", "commit", "--quiet", "--all", "--message", "release: v2.0.0", cwd=template)
    run("git", "tag", "v2.0.0", cwd=template)
    env = environment(**redirect(template))

    def by_make() -> None:
        run("git", "reset", "--quiet", "--hard", cwd=ours)
        run("make", "template-update", cwd=ours, env=env)

    def by_hand() -> None:
        run("git", "reset", "--quiet", "--hard", cwd=bare)
        run("uv", "tool", "run", "--quiet", "copier", "update", "--defaults", "--quiet", cwd=bare, env=env)
        for command in ("uv lock", "uv sync --locked", "make validate-branch"):
            run(*command.split(), cwd=bare)

    return compare("make template-update / a bare copier update and the same checks", by_make, by_hand, 5, 1.3)


def main() -> None:
    """Measure everything; exit with 1 when a bound is broken."""
    environment()  # fails early where the shell is not usable
    print("| what | ours | bare | ratio | bound |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template = upstream(folder / "template")
        checks = (rendering, unit_tests, markdown_commit, validating, updating)
        kept = [check(folder, template) for check in checks]
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
