"""The mutations that `scripts/unplug.py` tries fit the checklist and the code: checked without running anything."""

import ast
from pathlib import Path

import pytest
import unplug

MUTATIONS = unplug.read_mutations()


def test_each_file_of_a_promise_has_a_mutation() -> None:
    mutated = {(mutation.promise, mutation.file) for mutation in MUTATIONS}
    named = {(promise, file) for promise in unplug.read_promises() for file in promise.files}

    assert {(promise.text, file) for promise, file in named ^ mutated} == set()


def test_each_mutation_applies_and_leaves_python() -> None:
    for mutation in MUTATIONS:
        text = (unplug.ROOT / mutation.file).read_text(encoding="utf-8")
        mutated = mutation.apply(text)

        assert mutated != text, mutation
        ast.parse(mutated)


def test_a_promise_stands_on_the_checklist_once() -> None:
    texts = [promise.text for promise in unplug.read_promises()]

    assert sorted(set(texts)) == sorted(texts)


@pytest.mark.parametrize(("text", "times"), [("a = 1", 0), ("b = 1; b = 1", 2)])
def test_a_text_that_does_not_occur_once_is_refused(text: str, times: int) -> None:
    mutation = unplug.Mutation(unplug.Promise("It holds", ("src/a.py",), "tests/x.py::test_x"), "src/a.py", "b", "c")

    with pytest.raises(unplug.MutationError, match=f"src/a.py has {times} times: b"):
        mutation.apply(text)


def test_a_mutation_of_no_promise_is_refused(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "checklist.md").write_text("| It holds | `src/a.py` | `tests/x.py::test_x` |\n")
    (tmp_path / "scripts" / "mutations").mkdir(parents=True)
    (tmp_path / "scripts" / "mutations" / "a.toml").write_text("[['It fails']]\nold = 'a'\nnew = 'b'\n")

    with pytest.raises(unplug.MutationError, match="the checklist has no promise 'It fails'"):
        unplug.read_mutations(tmp_path)
