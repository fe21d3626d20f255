"""`scripts/unplug.py` tells a test that goes red from one that does not, and leaves the code as it is."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import unplug

pytestmark = pytest.mark.slow

FILES = {
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = ['--import-mode=importlib']\n",
    "src/promised.py": "def double(number):\n    number = number * 2\n    return number\n",
    "tests/unit/test_promised.py": (
        "from promised import double\n\n"
        "def test_it_doubles():\n    assert double(2) == 4\n\n"
        "def test_nothing():\n    assert double\n\n"
        "def test_for_ever():\n    while True:\n        pass\n"
    ),
    "docs/checklist.md": (
        "| It doubles | `src/promised.py` | `tests/unit/test_promised.py::test_it_doubles` |\n"
        "| It is tested | `src/promised.py` | `tests/unit/test_promised.py::test_nothing` |\n"
    ),
    "scripts/mutations/all.toml": (
        "[['It doubles']]\nold = 'number * 2'\nnew = 'number'\n"
        "[['It doubles']]\nold = 'def double('\nnew = 'def twice('\n"
        "[['It doubles']]\nold = 'number * 3'\nnew = 'number'\n"
        "[['It is tested']]\nold = 'number * 2'\nnew = 'number'\n"
    ),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_each_mutation_has_its_verdict(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = unplug.main([], project)

    red, broken, misplaced, green, summary = capsys.readouterr().out.splitlines()
    assert (code, summary) == (1, "1 of 4 mutations turn the test of their promise red")
    assert (red.split()[0], red.split("  ")[-1]) == ("red", "assert 2 == 4")
    assert (broken[:12], misplaced[:14], green[:11]) == ("DOES NOT RUN", "DOES NOT APPLY", "STILL GREEN")
    assert misplaced.endswith("src/promised.py has 0 times: number * 3")
    assert {name: (project / name).read_text(encoding="utf-8") for name in FILES} == FILES


def test_only_selected_mutations_are_tried_and_all_red_is_a_success(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mutations = project / "scripts" / "mutations" / "all.toml"
    mutations.write_text("[['It doubles']]\nold = 'number * 2'\nnew = 'number'\n", encoding="utf-8")

    assert unplug.main(["--only", "test_it_doubles"], project) == 0
    assert "1 of 1 mutations" in capsys.readouterr().out
    assert unplug.main(["--only", "triple"], project) == 2


@pytest.mark.parametrize(("old", "new"), [("== 4", "== 5"), ("from promised", "from nothing")])
def test_a_test_that_is_red_anyway_proves_nothing(
    project: Path, capsys: pytest.CaptureFixture[str], old: str, new: str
) -> None:
    test = project / "tests" / "unit" / "test_promised.py"
    test.write_text(test.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    assert unplug.main(["--only", "It doubles"], project) == 1
    assert [line[:10] for line in capsys.readouterr().out.splitlines()] == ["RED BEFORE"] * 3 + ["0 of 3 mut"]


def test_a_test_that_is_not_there_is_an_error(project: Path) -> None:
    checklist = project / "docs" / "checklist.md"
    checklist.write_text(checklist.read_text(encoding="utf-8").replace("test_nothing", "test_gone"), encoding="utf-8")

    with pytest.raises(unplug.MutationError, match="does each of them exist"):
        unplug.main([], project)


def test_tests_can_be_interrupted_in_the_background_too(project: Path) -> None:
    """A shell starts what runs in the background with SIGINT ignored."""
    shutil.copy(unplug.__file__, project / "scripts")
    (project / "tests" / "unit" / "test_promised.py").write_text(
        "import signal\nfrom promised import double\n\n"
        "def test_it_doubles():\n"
        "    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "    assert double(2) == 4\n",
        encoding="utf-8",
    )
    command = 'trap "" INT; exec "$0" scripts/unplug.py --only "It doubles"'

    result = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable], cwd=project, check=False, capture_output=True, text=True
    )

    assert result.stdout.split()[0] == "red"


def test_a_test_that_hangs_is_ended_and_counts_as_red(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is: it hangs for longer."""
    monkeypatch.setattr(unplug, "LONGEST_TEST", 0.5)
    promise = unplug.Promise("It ends", ("src/promised.py",), "tests/unit/test_promised.py::test_for_ever")

    result = unplug.unplug(unplug.Mutation(promise, "src/promised.py", "number * 2", "number"), project)

    assert result == ("red: hangs", "no end within 0.5 s")
