"""Random answers: each is refused with a clear message and nothing written, or every file parses and holds it.

`make test-all` tries 30 of them; `HOSTILE=5000 make test-hostile` tries as many as you like.
"""

import json
import os
import shutil
import tomllib
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from copier.errors import CopierError
from harness import CHOICES, render
from hypothesis import given, settings
from hypothesis import strategies as st
from test_render import check_makefile, check_syntax

pytestmark = pytest.mark.full

# What has meaning to one of the languages that answers end up in, and what is awkward to print.
FRAGMENTS = [
    *('"', "'", '"""', "'''", "\\", "\\n", "\\u0041", "\\x41", "`id`", "$(id)", "$HOME", "${{ secrets.X }}", "$$"),
    *(
        "{{ 7*7 }}",
        "{% raw %}",
        "{% endraw %}",
        "{#",
        "#}",
        "{x}",
        "%s",
        "%(x)s",
        "#",
        ": ",
        " #",
        "- ",
        "@",
        "!",
        "&",
        "*",
    ),
    *(
        "|",
        ">",
        "<",
        "<!--",
        "</b>",
        "[",
        "]",
        "---",
        "...",
        "=",
        ";",
        "~",
        "null",
        "true",
        "1e3",
        "0x10",
        "2026-11-23",
    ),
    *("é", "ß", "日本", "שלום", "عربى", "\u200f", "👩‍💻", "🇩🇪", "\u00a0", "\u3000", "\u00ad", "\u0301", "\U0001d54f"),
]
REFUSED = ["\n", "\r", "\t", "\0", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u202e", "\ufeff", " "]
PRINTABLE = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\ufeff\ufffe\uffff").filter(
    lambda character: not ("\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069")
)
TEXT = (
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(PRINTABLE, max_size=20)), min_size=1, max_size=8)
    .map(lambda parts: "".join(parts).strip()[:200].strip())
    .filter(bool)
)
SPOILT_TEXT = st.one_of(
    st.tuples(TEXT, st.sampled_from(REFUSED), TEXT).map("".join), st.sampled_from(["", " ", "x" * 201])
)
ANSWERS = st.fixed_dictionaries(
    {"project_name": TEXT, "project_description": TEXT, "user_name": TEXT},
    optional={
        "user_email": st.from_regex(r"[A-Za-z0-9._%+-]{1,20}@[a-z0-9-]{1,10}(\.[a-z0-9-]{1,8}){1,3}", fullmatch=True),
        "github_user": st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,8}[A-Za-z0-9])?", fullmatch=True).filter(
            lambda name: "--" not in name
        ),
        "package_name": st.from_regex(r"zz[a-z]{1,8}(_[a-z0-9]{1,8})?", fullmatch=True),
        "license": st.sampled_from(CHOICES["license"]),
    },
).flatmap(  # no free text ends up in what llm adds, and its many files take long; the matrix has it with hostile names
    lambda answers: st.sampled_from([[], ["notebooks"]]).map(lambda chosen: answers | {"capabilities": chosen})
)
SPOILT = st.builds(
    lambda answers, name, text: answers | {name: text},
    ANSWERS,
    st.sampled_from(["project_name", "project_description", "user_name", "user_email", "github_user", "package_name"]),
    SPOILT_TEXT,
)


@given(answers=st.one_of(ANSWERS, ANSWERS, ANSWERS, SPOILT))
@settings(
    max_examples=int(os.environ.get("HOSTILE", "30")),
    deadline=None,
    derandomize="HOSTILE" not in os.environ,
)
def check_answers(template: Path, tmp_path: Path, outcomes: dict[str, int], answers: dict[str, Any]) -> None:
    folder = tmp_path / uuid.uuid4().hex
    refusal = ""
    try:
        project = render(template, folder, **answers)
    except (CopierError, ValueError) as error:
        refusal = str(error)
    if refusal:
        assert refusal.startswith("Validation error for question '")
        assert not folder.exists()
        outcomes["refused"] += 1
        return
    outcomes["rendered"] += 1
    held = json.loads(json.dumps(yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))))
    assert answers.items() <= held.items()
    metadata = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    author = {"name": held["user_name"]} | ({"email": held["user_email"]} if held["user_email"] else {})
    assert (metadata["description"], metadata["authors"]) == (held["project_description"], [author])
    title = f"# {held['project_name']}\n\n{held['project_description']}\n"
    assert (project / "README.md").read_text("utf-8").startswith(title)
    for path in project.rglob("*"):
        if path.is_file():
            check_syntax(path)
    check_makefile(project)
    shutil.rmtree(project)


def test_every_answer_is_held_or_refused(bare_template: Path, tmp_path: Path) -> None:
    outcomes = {"rendered": 0, "refused": 0}

    check_answers(bare_template, tmp_path, outcomes)

    print(outcomes)  # noqa: T201 - for the closing note
    assert outcomes["rendered"] > outcomes["refused"] > 0, "what only ever sees refusals would hold for nothing"
