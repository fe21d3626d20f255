"""Renders the template as a user would, and runs commands in what came out."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from copier import run_copy
from plumbum import local

ROOT = Path(__file__).parents[1]
COPIER_YML = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
ADDRESS = COPIER_YML["upstream"]["default"]
QUESTIONS = {key: value for key, value in COPIER_YML.items() if not key.startswith("_")}
ASKED = {key for key, value in QUESTIONS.items() if value.get("when") is not False}
CHOICES: dict[str, list[str]] = {
    key: list(value["choices"].values() if isinstance(value["choices"], dict) else value["choices"])
    for key, value in QUESTIONS.items()
    if "choices" in value
}
# Of the library, the tests of updates take these files only: an update treats all of its files alike.
SAMPLE = {"__init__.py", "gateway.py", "ask.py", "loop.py", "run.py"}
MOST_OF_THE_LIBRARY = (
    *("tests/", "docs/", "toolkit/tests/", "toolkit/benchmarks/", "toolkit/scripts/"),
    *(str(path.relative_to(ROOT)) for path in (ROOT / "toolkit/src").rglob("*.py") if path.name not in SAMPLE),
)

# `make freshness` resolves the newest versions, as a project will in a week. Otherwise the project's own rules hold.
NOW = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
FRESH = {"UV_EXCLUDE_NEWER": NOW, "MAKEFLAGS": f"KNOWN_GOOD={NOW}"} if os.environ.get("FRESH") else {}


# The developer's own git configuration must not decide about a test.
ALONE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
os.environ.update(ALONE)
local.env.update(ALONE)  # Copier's git sees plumbum's environment


def environment(**changes: str) -> dict[str, str]:
    """Return the variables of a user's shell, without those of the test run and of this project's environment."""
    hidden = ("VIRTUAL_ENV", "UV_RUN_RECURSION_DEPTH", "PYTHONDONTWRITEBYTECODE", "CI", "MAKEFLAGS", "MAKELEVEL")
    kept = {key: value for key, value in os.environ.items() if key not in hidden and not key.startswith("PYTEST_")}
    own = str(Path(sys.executable).parent)
    entries = [entry for entry in kept["PATH"].split(os.pathsep) if entry != own]
    kept["PATH"] = os.pathsep.join([*entries, str(_folder_of_uv())])
    identity = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.com"}
    identity |= {"GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.com"}
    return kept | identity | FRESH | changes


@cache
def _folder_of_uv() -> Path:
    """Return a folder that holds uv and nothing else: a user's shell has it, whether or not this machine's has."""
    folder = Path(sys.prefix, "uv-alone")
    folder.mkdir(exist_ok=True)
    with suppress(FileExistsError):
        (folder / "uv").symlink_to(Path(sys.executable).with_name("uv"))
    return folder


def run(
    *command: str | Path, cwd: Path, env: dict[str, str] | None = None, expect: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """Run a command; fail with all its output when it does not end with `expect` (None: with anything)."""
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env or environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    if expect is not None and result.returncode != expect:
        raise AssertionError(f"{command} ended with {result.returncode}, not {expect}:\n{result.stdout}")
    return result


def commit(project: Path, message: str = "feat: ours", *options: str) -> None:
    """Commit everything."""
    run("git", "add", "--all", cwd=project)
    run("git", "commit", "--quiet", *options, "--message", message, cwd=project)


def upstream(folder: Path, without: tuple[str, ...] = ()) -> Path:
    """Put the working tree, committed or not, into a git repository with a release tag.

    Args:
        folder: Where.
        without: Prefixes of files to leave out. Copier looks at every file, whether it renders it or not.
    """
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
    for name in (name for name in listed.split("\0") if name and not name.startswith(without)):
        source, target = ROOT / name, folder / name
        if source.is_symlink() or source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    run("git", "init", "--quiet", "--initial-branch=main", cwd=folder)
    run("git", "add", "--all", "--force", cwd=folder)
    run("git", "commit", "--quiet", "--no-verify", "--message", "release: v1.0.0", cwd=folder)
    run("git", "tag", "v1.0.0", cwd=folder)
    return folder


def render(template: Path, destination: Path, **answers: Any) -> Path:
    """Render through Copier's own API, without trust; answers to questions that do not exist are an error."""
    if unknown := set(answers) - ASKED:
        raise KeyError(f"copier.yml asks no such question: {', '.join(sorted(unknown))}")
    run_copy(str(template), destination, data=answers, defaults=True, quiet=True)
    return destination


def redirect(folder: Path) -> dict[str, str]:
    """Return variables with which git takes a folder for the template's public address."""
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{folder}.insteadOf",
        "GIT_CONFIG_VALUE_0": ADDRESS,
    }


def read_answers(project: Path) -> dict[str, Any]:
    """Read a project's answers file."""
    answers: dict[str, Any] = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    return answers


def files(project: Path) -> list[Path]:
    """List the files of a rendered project that nobody has worked in."""
    return sorted(path for path in project.rglob("*") if path.is_file())
