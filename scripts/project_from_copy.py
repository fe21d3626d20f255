"""Prepares the commit that turns a copy of this repository into a project; run by `make init`.

GitHub's "Use this template" gives a full copy of this repository in one commit, with no history and no tags. This
renders the template from that copy and makes a commit of the outcome, without touching the working tree. The commit's
hash goes to `.git/new-project`, and `make init` goes on from there; until then it can be interrupted at any time.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import yaml
from copier import run_copy
from copier.errors import CopierError

ROOT = Path(__file__).parents[1]
ANSWERS_FILE = ".copier-answers.yml"


class RefusedError(Exception):
    """This repository is not one to turn into a project; the message says why, and what to do instead."""


def git(*arguments: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """Run git and return what it prints; it never asks for a password."""
    env = os.environ | {"GIT_TERMINAL_PROMPT": "0"} | (env or {})
    return subprocess.run(
        ["git", *arguments], cwd=cwd, env=env, check=True, capture_output=True, text=True
    ).stdout.strip()


def check(upstream: str) -> None:
    """Make sure that this is an untouched copy of the template.

    Raises:
        RefusedError: It is something else, or holds work that would be lost.
    """
    origin = git("config", "--default", "", "--get", "remote.origin.url")
    first = git("rev-list", "--max-parents=0", "HEAD").splitlines()[-1]
    if address(origin) == address(upstream) or git("rev-parse", "--is-shallow-repository") == "true":
        raise RefusedError(
            "this is a clone of the template itself. To make a project: make new DEST=../my-app. "
            "To work on the template: make setup"
        )
    if git("status", "--porcelain"):
        raise RefusedError("there is uncommitted work, which would be lost. Move it out of this folder, or discard it")
    if git("rev-parse", "HEAD^{tree}") != git("rev-parse", f"{first}^{{tree}}"):
        raise RefusedError(
            "files have changed since the first commit, and would be lost. In a fork of the template, make the project "
            f"elsewhere: make new DEST=../my-app. In a copy, keep your work on a branch, go back to the copy with "
            f"git reset --hard {first[:9]}, then make init, and bring your files over"
        )


def address(url: str) -> str:
    """Reduce a URL to what the https and the ssh form of it share: host/owner/name."""
    return url.strip().lower().removesuffix(".git").rpartition("://")[2].rpartition("@")[2].replace(":", "/")


def base_version(upstream: str, scratch: Path) -> str:
    """Name the upstream commit that was copied, as Copier names it: a tag, or one and the distance from it.

    The tree hash identifies it: a copy has a history of its own, but the files of one upstream commit. If upstream is
    out of reach, or does not know the tree, the version in the copy is the fallback.
    """
    fallback = f"v{tomllib.loads((ROOT / 'pyproject.toml').read_text('utf-8'))['project']['version']}"
    try:
        git("clone", "--quiet", "--bare", upstream, str(scratch))
    except subprocess.CalledProcessError:
        say(f"the template's repository is out of reach; {fallback}, the version of this copy, is taken as its base")
        return fallback
    trees = dict(line.split() for line in git("log", "--all", "--reverse", "--format=%T %H", cwd=scratch).splitlines())
    commit = trees.get(git("rev-parse", "HEAD^{tree}"))
    if not commit:
        say(f"these files are no version of the template; {fallback} is taken as their base")
        return fallback
    return git("describe", "--tags", "--always", commit, cwd=scratch)


def prepare(upstream: str) -> None:
    """Render, make the commit, and store its hash and the hash of the tree to check out before it."""
    git_dir = Path(git("rev-parse", "--absolute-git-dir"))
    with tempfile.TemporaryDirectory(dir=git_dir) as name:
        scratch = Path(name)
        project = scratch / ROOT.name
        answers_from = os.environ.get("ANSWERS")
        data = yaml.safe_load(Path(answers_from).read_text("utf-8")) if answers_from else {}
        run_copy(str(ROOT), project, data=data, defaults=bool(os.environ.get("DEFAULTS")), quiet=True, vcs_ref="HEAD")
        version = base_version(upstream, scratch / "upstream")
        answers = project / ANSWERS_FILE
        lines = answers.read_text("utf-8").splitlines()
        lines = [f"_commit: {version}" if line.startswith("_commit:") else line for line in lines]
        answers.write_text("\n".join(lines) + "\n", encoding="utf-8")

        index = {"GIT_DIR": str(git_dir), "GIT_WORK_TREE": str(project), "GIT_INDEX_FILE": str(scratch / "index")}
        git("add", "--all", "--force", ".", cwd=project, env=index)
        tree = git("write-tree", env=index)
        commit = git("commit-tree", tree, "-p", "HEAD", "-m", f"feat: start from ai-base-template {version}")
        # The Makefile is exchanged last, so that `make init` can go on wherever it was interrupted.
        makefile = git("rev-parse", "HEAD:Makefile")
        git("update-index", "--cacheinfo", f"100644,{makefile},Makefile", env=index)
        marker = scratch / "new-project"
        marker.write_text(f"{commit} {git('write-tree', env=index)}\n", encoding="utf-8")
        marker.replace(git_dir / "new-project")


def say(message: str) -> None:
    """Tell the user something, in one line."""
    sys.stderr.write(f"init: {message}.\n")


def main() -> int:
    """Prepare the project; return the exit code."""
    upstream = yaml.safe_load((ROOT / "copier.yml").read_text("utf-8"))["upstream"]["default"]
    try:
        check(upstream)
        prepare(upstream)
    except KeyboardInterrupt:
        say("interrupted; nothing has changed")
    except (RefusedError, CopierError, ValueError, OSError) as error:
        say(str(error).strip().removesuffix("."))
    except subprocess.CalledProcessError as error:
        say(f"{' '.join(error.cmd[:2])} failed: {error.stderr.strip()}")
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
