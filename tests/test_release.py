"""`make release` in a copy of this repository: it refuses, or makes one commit and one tag."""

import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from harness import run


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Path:
    """Return a clone whose validation is a stand-in: it is green, or red with the file `red`."""
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", template, clone, cwd=tmp_path)
    run("git", "config", "user.name", "Ada", cwd=clone)
    run("git", "config", "user.email", "ada@example.com", cwd=clone)
    makefile = (clone / "Makefile").read_text("utf-8")
    makefile = re.sub(r"^validate-branch:.*", "validate-branch:\n\t@test ! -f ../red", makefile, flags=re.MULTILINE)
    makefile = makefile.replace("release: .venv/bin/uv", "release:").replace("$(RUN) python", "python3")
    (clone / "Makefile").write_text(makefile, encoding="utf-8")
    changelog = (clone / "CHANGELOG.md").read_text("utf-8")
    changelog = changelog.replace("## Unreleased\n\n", "## Unreleased\n\n- Something new.\n\n", 1)
    (clone / "CHANGELOG.md").write_text(changelog, encoding="utf-8")
    run("git", "commit", "--quiet", "--all", "--message", "feat: something new", cwd=clone)
    return clone


def test_a_release_is_one_commit_and_one_tag(repository: Path) -> None:
    run("make", "release", "VERSION=1.2.3", cwd=repository)

    assert run("git", "log", "-1", "--format=%s %D", cwd=repository).stdout.strip() == (
        "release: v1.2.3 HEAD -> main, tag: v1.2.3"
    )
    assert run("git", "status", "--porcelain", cwd=repository).stdout == ""
    changed = run("git", "diff", "--name-only", "HEAD~1", cwd=repository).stdout.split()
    assert {"CHANGELOG.md", "pyproject.toml"} <= set(changed) <= {"CHANGELOG.md", "pyproject.toml", "copier.yml"}
    today = datetime.now(UTC).date()
    assert tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]["version"] == "1.2.3"
    questions = yaml.safe_load((repository / "copier.yml").read_text("utf-8"))
    assert questions["known_good"]["default"] == str(today - timedelta(days=7))
    changelog = (repository / "CHANGELOG.md").read_text("utf-8")
    assert f"## Unreleased\n\n## 1.2.3 ({today})\n\n- Something new.\n" in changelog


@pytest.mark.parametrize(
    ("case", "version", "message"),
    [
        ("", "1.2", "'1.2' is no version. Type one, such as: make release VERSION=1.2.3"),
        ("", "", "'' is no version"),
        ("", "0.9.9", "0.9.9 is not newer than 1.0.0, the last release"),
        ("dirty", "1.2.3", "there is uncommitted work"),
        ("nothing new", "1.2.3", "CHANGELOG.md has no entry under Unreleased"),
        ("red", "1.2.3", "the tests are red; nothing was released"),
    ],
)
def test_a_release_is_refused_and_leaves_all_as_it_was(repository: Path, case: str, version: str, message: str) -> None:
    match case:
        case "dirty":
            (repository / "mine.txt").write_text("mine", encoding="utf-8")
        case "nothing new":
            text = (repository / "CHANGELOG.md").read_text("utf-8")
            (repository / "CHANGELOG.md").write_text(
                re.sub(r"(?<=## Unreleased\n\n)- ", "## 0.0.1\n\n- ", text), "utf-8"
            )
            run("git", "commit", "--quiet", "--all", "--message", "docs: nothing", cwd=repository)
        case "red":
            (repository.parent / "red").touch()
    before = (
        run("git", "rev-parse", "HEAD", cwd=repository).stdout,
        run("git", "status", "--porcelain", cwd=repository).stdout,
    )

    output = run("make", "release", f"VERSION={version}", cwd=repository, expect=2).stdout

    assert message in output
    after = (
        run("git", "rev-parse", "HEAD", cwd=repository).stdout,
        run("git", "status", "--porcelain", cwd=repository).stdout,
    )
    assert after == before
    assert run("git", "tag", cwd=repository).stdout.split() == ["v1.0.0"]
