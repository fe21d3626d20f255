"""Never narrow: an answer that was good at the last release is good now, and means the same."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from copier.errors import CopierError
from harness import CHOICES, QUESTIONS, ROOT, render, run
from test_answers import HOSTILE
from test_update import RELEASED

LAST, COMMIT = list(RELEASED.items())[-1]
OLD = {
    key: value
    for key, value in yaml.safe_load(run("git", "show", f"{COMMIT}:copier.yml", cwd=ROOT).stdout).items()
    if not key.startswith("_")
}


def values(question: dict[str, Any]) -> set[str]:
    choices = question.get("choices", [])
    return {str(choice) for choice in (choices.values() if isinstance(choices, dict) else choices)}


def narrowed(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Tell every way in which answers to the old questions are lost or change their meaning under the new ones."""
    problems = []
    for name, question in old.items():
        if question.get("when") is False:
            continue
        if name not in new or new[name].get("when") is False:
            problems.append(
                f"{name} is gone: its answers would be forgotten. Keep it; or rename it with "
                f"default: \"{{{{ {name} | default('…', true) }}}}\", and keep {name} with `when: false` unremembered"
            )
            continue
        if lost := values(question) - values(new[name]):
            problems.append(f"{name} lost {', '.join(sorted(lost))}: projects would fall back to the default. Keep it")
        if question["type"] != new[name]["type"] or question.get("multiselect") != new[name].get("multiselect"):
            problems.append(f"{name} has another type: remembered answers would not fit. Ask a new question instead")
    problems += [
        f"{name} has no default: `copier update --defaults` would stop. Give one that keeps behaviour"
        for name in new.keys() - old.keys()
        if "default" not in new[name]
    ]
    return problems


def test_nothing_was_narrowed_since_the_last_release() -> None:
    assert narrowed(OLD, QUESTIONS) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"license": None}, "license is gone"),
        ({"license": {"type": "str", "choices": ["MIT"], "default": "MIT"}}, "license lost Apache-2.0, BSD-3-Clause"),
        ({"capabilities": {"type": "str", "choices": ["notebooks"], "default": ""}}, "capabilities has another type"),
        ({"colour": {"type": "str"}}, "colour has no default"),
    ],
)
def test_the_check_sees_what_would_be_narrower(change: dict[str, Any], message: str) -> None:
    changed = {key: value for key, value in (OLD | change).items() if value is not None}

    problems = narrowed(OLD, changed)

    assert len(problems) == 1
    assert problems[0].startswith(message)


GOOD: dict[str, list[Any]] = {
    "project_name": [*HOSTILE, "x", "tests"],
    "project_description": HOSTILE,
    "user_name": [*HOSTILE, "x"],
    "package_name": ["a", "a1", "my_shop", "n" * 40, "shop2_go"],
    "user_email": ["", "a@b.c", "renee+x%y_z-1@sub.example.museum"],
    "github_user": ["", "a", "ada-lovelace", "name_shortcode", "a" * 39],
    "capabilities": [[], ["notebooks"], CHOICES["capabilities"]],
    "llm_providers": [["openai"], ["anthropic", "mistral"], CHOICES["llm_providers"]],
}


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name, answers in GOOD.items() for answer in answers])
def test_an_answer_that_was_good_still_is(bare_template: Path, tmp_path: Path, name: str, answer: Any) -> None:
    """A stricter validator resets the answer at the next update, in silence. These were good in the first release."""
    try:
        render(bare_template, tmp_path / "p", **({"package_name": "app"} | {name: answer}))
    except (CopierError, ValueError) as error:
        pytest.fail(f"{error}. Let the validator accept it again: projects may hold it")


def test_every_validated_question_has_answers_to_keep_good() -> None:
    assert {name for name, question in QUESTIONS.items() if "validator" in question} == set(GOOD)
