"""Takes the code behind each promise of `docs/checklist.md` out, and shows whether the promise's test goes red.

    python scripts/unplug.py [--only TEXT]

The checklist names files and a test for each promise. `mutations/*.toml` has the edits that break it, such as a line
taken out. Each edit is made in a fresh copy, where the test was green before, and only this test is run. So a red test
also shows that the copy was tested and not the installed library. The exit code is 0 if every edit turns its test red.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
COPIED = ("src", "tests", "docs", "scripts", "pyproject.toml")
WORKERS = 2
LONGEST_TEST = 180.0
"""Seconds after which a test counts as hanging. The tests themselves take a few."""
GRACE = 30.0
"""Seconds in which an interrupted test can stop what it started."""
RED, HANGS, GREEN = "red", "red: hangs", "STILL GREEN"
RED_BEFORE, BROKEN, MISPLACED = "RED BEFORE", "DOES NOT RUN", "DOES NOT APPLY"


class MutationError(ValueError):
    """A mutation does not fit the checklist or its file."""


@dataclass(frozen=True)
class Promise:
    """A row of the checklist."""

    text: str
    files: tuple[str, ...]
    test: str
    """Path and name, as pytest takes them."""


@dataclass(frozen=True)
class Mutation:
    """An edit that breaks a promise."""

    promise: Promise
    file: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        """Return the text of the file after the edit.

        Raises:
            MutationError: The old text does not occur exactly once.
        """
        if (found := text.count(self.old)) != 1:
            raise MutationError(f"{self.file} has {found} times: {self.old.strip().splitlines()[0]}")
        return text.replace(self.old, self.new)


class Result(NamedTuple):
    """What the test did, and the first line of the reason."""

    verdict: str
    reason: str = ""


def read_promises(root: Path = ROOT) -> list[Promise]:
    """Read the rows of the checklist."""
    text = (root / "docs" / "checklist.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if "::" in line]
    return [
        Promise(promise.strip(), tuple(re.findall("`([^`]+)`", files)), test.strip().strip("`"))
        for promise, files, test in rows
    ]


def read_mutations(root: Path = ROOT) -> list[Mutation]:
    """Read the edits, in the order of the checklist.

    Raises:
        MutationError: An edit is for no promise of the checklist.
    """
    edits: dict[str, list[dict[str, str]]] = {}
    for path in (root / "scripts" / "mutations").glob("*.toml"):
        edits |= tomllib.loads(path.read_text(encoding="utf-8"))
    mutations = [
        Mutation(promise, edit.get("file", promise.files[0]), edit["old"], edit["new"])
        for promise in read_promises(root)
        for edit in edits.pop(promise.text, [])
    ]
    if edits:
        raise MutationError(f"the checklist has no promise {', '.join(map(repr, edits))}")
    return mutations


def unplug(mutation: Mutation, root: Path) -> Result:
    """Make the edit in a copy, and run the promise's test there."""
    with copied(root) as copy:
        path = copy / mutation.file
        try:
            path.write_text(mutation.apply(path.read_text(encoding="utf-8")), encoding="utf-8")
        except MutationError as error:
            return Result(MISPLACED, str(error))
        code, output = run_pytest(copy, [mutation.promise.test], LONGEST_TEST, "-x")
    if code is None:
        return Result(HANGS, f"no end within {LONGEST_TEST:g} s")
    summary = re.search(r"^(?:FAILED|ERROR) .*? - (.*)", output, re.MULTILINE)
    reason = summary[1] if summary else output.strip().rpartition("\n")[2]
    return Result({0: GREEN, 1: RED}.get(code, BROKEN), reason)


def find_red(root: Path, tests: Sequence[str]) -> set[str]:
    """Run the tests without any edit; return those that are not green, and files that cannot be imported.

    Raises:
        MutationError: They cannot be run.
    """
    code, output = run_pytest(root, tests, LONGEST_TEST * len(tests), "--numprocesses", str(WORKERS))
    if code not in (0, 1):
        raise MutationError(f"the tests cannot be run; does each of them exist? {output}")
    found = re.findall(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
    return {name.partition("[")[0] for name in found}


@contextmanager
def copied(root: Path) -> Iterator[Path]:
    """Copy what the tests need to a temporary folder."""
    with TemporaryDirectory(prefix="unplug") as folder:
        for name in COPIED:
            if (root / name).is_dir():
                shutil.copytree(root / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(root / name, folder)
        yield Path(folder)


def run_pytest(folder: Path, tests: Sequence[str], seconds: float, *options: str) -> tuple[int | None, str]:
    """Run tests on the library in the folder; PYTHONPATH has precedence over the installed one.

    Returns:
        The exit code, or None if they did not end in time; and the output.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *tests],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "src"), "COLUMNS": "300"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        if process.returncode is None:
            _stop(process)
    return process.returncode, output


def _stop(process: subprocess.Popen[str]) -> None:
    """Interrupt the tests, so that they stop their servers; then end whatever is left."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.communicate(timeout=GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Try the mutations, print a table, and return the exit code."""
    parser = ArgumentParser(description="Take the code behind each promise out; its test must go red.")
    parser.add_argument("--only", default="", metavar="TEXT", help="only promises, files and tests with this text")
    only = parser.parse_args(arguments).only
    mutations = [
        each
        for each in read_mutations(root)
        if only in each.promise.text or only in each.file or only in each.promise.test
    ]
    if not mutations:
        print(f"no promise, file or test has the text {only!r}", file=sys.stderr)
        return 2
    with copied(root) as copy:  # later edits of the originals do not matter
        red = find_red(copy, sorted({each.promise.test for each in mutations}))

        def tried(mutation: Mutation) -> Result:
            test = mutation.promise.test
            return Result(RED_BEFORE) if {test, test.partition("::")[0]} & red else unplug(mutation, copy)

        failed = 0
        with ThreadPoolExecutor(WORKERS) as pool:
            results = pool.map(tried, mutations)
            for mutation, (verdict, reason) in zip(mutations, results, strict=True):
                failed += verdict not in (RED, HANGS)
                print(f"{verdict:<15}{mutation.promise.text[:60]:<62}{reason[:120]}", flush=True)
    print(f"{len(mutations) - failed} of {len(mutations)} mutations turn the test of their promise red")
    return 1 if failed else 0


if __name__ == "__main__":
    # A shell starts what runs in the background with SIGINT ignored, and the tests would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
