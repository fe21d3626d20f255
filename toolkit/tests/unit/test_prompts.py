"""Prompts are files with settings and strict variables; every edit is a new version."""

from pathlib import Path

import pytest

from ai_base.llm.configuration.prompts import Prompts
from ai_base.llm.errors import ConfigError, PromptVariableError

TICKET, OPEN = "{" + "{ ticket }" + "}", "{" + "%"


def write(folder: Path, text: str) -> Prompts:
    (folder / "triage.md").write_text(text, encoding="utf-8")
    return Prompts(folder)


def test_a_prompt_is_filled_in(tmp_path: Path) -> None:
    prompt = write(tmp_path, f'+++\nchain = "strong"\ntemperature = 0\n+++\nTriage <{TICKET}>\n')["triage"]

    assert prompt.render({"ticket": 'a <b> & "c"'}) == 'Triage <a <b> & "c">'
    assert (prompt.settings.chain, prompt.settings.temperature, prompt.settings.max_output_tokens) == (
        "strong",
        0,
        None,
    )


def test_what_a_variable_holds_is_not_rendered_again(tmp_path: Path) -> None:
    prompt = write(tmp_path, TICKET)["triage"]

    assert prompt.render({"ticket": TICKET}) == TICKET


def test_variables_are_strict(tmp_path: Path) -> None:
    prompt = write(tmp_path, f"{TICKET} {TICKET.replace('ticket', 'customer')}")["triage"]

    with pytest.raises(PromptVariableError, match="missing: customer, ticket; unexpected: tickets") as error:
        prompt.render({"tickets": ""})

    assert (error.value.missing, error.value.unexpected) == (["customer", "ticket"], ["tickets"])


def test_a_field_that_a_variable_does_not_have_is_an_error(tmp_path: Path) -> None:
    prompt = write(tmp_path, TICKET.replace("ticket", "ticket.text"))["triage"]

    with pytest.raises(PromptVariableError, match="has no attribute 'text'"):
        prompt.render({"ticket": {}})


def test_the_version_is_the_content(tmp_path: Path) -> None:
    prompts = write(tmp_path, "one")
    first = prompts["triage"].version
    write(tmp_path, "two")
    second = prompts["triage"].version
    write(tmp_path, "one")

    assert first != second
    assert prompts["triage"].version == first == "7692c3ad3540"  # sha256 of "one"


def test_the_version_covers_the_front_matter(tmp_path: Path) -> None:
    versions = {
        write(tmp_path, f"+++\ntemperature = {temperature}\n+++\nThe same question")["triage"].version
        for temperature in (0, 1)
    }

    assert len(versions) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("+++\nchain = 1\n+++\n", "triage.md: front matter: chain: Input should be a valid string"),
        ("+++\ncolour = 1\n+++\n", "front matter: colour: Extra inputs"),
        ("+++\nchain\n+++\n", "front matter: Expected '='"),
        (f"+++\n+++\n\nfine\n{OPEN} if %{'}'}\n", "triage.md:5: Expected an expression"),
        (f"{OPEN} include 'other' %{'}'}", "a prompt cannot include a file"),
    ],
)
def test_a_broken_prompt_is_an_error(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason.replace(".", r"\.")):
        write(tmp_path, text)["triage"]


def test_a_broken_edit_leaves_the_last_valid_prompt(tmp_path: Path) -> None:
    prompts = write(tmp_path, "fine")
    assert prompts["triage"].render({}) == "fine"
    write(tmp_path, "+++\nchain\n+++\nbroken")

    assert prompts["triage"].render({}) == "fine"


@pytest.mark.parametrize("name", ["no-such", "../triage", ""])
def test_a_prompt_that_is_not_there_is_an_error_that_lists_those_that_are(tmp_path: Path, name: str) -> None:
    prompts = write(tmp_path, "fine")

    with pytest.raises(ConfigError, match=r"there are: triage|is not a valid prompt name"):
        prompts[name]
