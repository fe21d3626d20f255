"""Releases the template: changelog, version, the day whose dependencies were tested, commit and tag.

`make release VERSION=1.2.3`. The commit's subject is `release: v1.2.3`: tests make the tags again from such commits,
and refuse to know a version without one.
"""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHANGED = {
    # file: what stands there, what it becomes
    "pyproject.toml": (r'^version = "(.*?)"', 'version = "{version}"'),
    "copier.yml": (r'(?<=^known_good:\n  type: str\n  when: false\n  default: )"(.*?)"', '"{known_good}"'),
    "CHANGELOG.md": (r"^## Unreleased\n\n(?=- )", "## Unreleased\n\n## {version} ({today})\n\n"),
}


class RefusedError(Exception):
    """The release can't be made; the message says why, and what to do."""


def git(*arguments: str) -> str:
    """Run git in this repository and return what it prints."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def check(version: str) -> None:
    """Make sure that there is something to release, under a version that is new.

    Raises:
        RefusedError: There is not.
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise RefusedError(f"{version!r} is no version. Type one, such as: make release VERSION=1.2.3")
    if git("status", "--porcelain"):
        raise RefusedError("there is uncommitted work. Commit it, or stash it")
    subjects = git("log", "--format=%s").splitlines()
    last = next((line.removeprefix("release: v") for line in subjects if line.startswith("release: v")), "0.0.0")
    if [int(part) for part in version.split(".")] <= [int(part) for part in last.split(".")]:
        raise RefusedError(f"{version} is not newer than {last}, the last release")
    for name, (pattern, _) in CHANGED.items():
        if not re.search(pattern, (ROOT / name).read_text("utf-8"), re.MULTILINE):
            raise RefusedError(f"{name} has no {'entry under Unreleased' if 'CHANGELOG' in name else 'line to change'}")


def release(version: str) -> None:
    """Write the release into the files, test it as it will be, and commit and tag it; or put everything back."""
    today = datetime.now(UTC).date()
    # A week back: what `exclude-newer` lets the tests, and a user's next lock, see.
    values = {"version": version, "today": today, "known_good": today - timedelta(days=7)}
    try:
        for name, (pattern, text) in CHANGED.items():
            path = ROOT / name
            new = re.sub(pattern, text.format(**values), path.read_text("utf-8"), count=1, flags=re.MULTILINE)
            path.write_text(new, encoding="utf-8")
        validate()
        git("commit", "--quiet", "--all", "--message", f"release: v{version}")
        git("tag", f"v{version}")
    except BaseException:
        git("checkout", "--quiet", "--", *CHANGED)
        raise


def validate() -> None:
    """Run everything that CI runs.

    Raises:
        RefusedError: Something is red.
    """
    if subprocess.run(["make", "validate-branch"], cwd=ROOT, check=False).returncode:
        raise RefusedError("the tests are red; nothing was released")


def main() -> int:
    """Release; return the exit code."""
    version = sys.argv[1]
    try:
        check(version)
        release(version)
    except RefusedError as error:
        sys.stderr.write(f"release: {error}.\n")
        return 1
    sys.stdout.write(f"Released v{version}. Publish it: git push --follow-tags origin main v{version}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
