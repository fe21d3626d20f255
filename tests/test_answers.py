"""Answers come out intact everywhere, or are refused with what to type instead and nothing written."""

import json
import keyword
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pexpect
import pytest
import yaml
from copier import run_copy
from copier.errors import CopierError
from harness import ASKED, CHOICES, COPIER_YML, QUESTIONS, environment, files, redirect, render, run
from plumbum import local

COPIER = Path(sys.executable).parent / "copier"
WIDTH = 60  # at 80 columns Copier cuts a message soon after, and the remedy with it
HOSTILE = [
    'He said "hi": it\'s 100% C:\\new {x} #1 — é',
    "{{ 7 * 7 }} {% raw %} {# note #}",
    "${{ secrets.TOKEN }} $(touch pwned) `touch pwned` $HOME",
    "- leading @ ! & * ? | > % dash",
    "'''\"\"\"\\",
    "👩‍💻 日本語 שלום عربى \u200f",
    "<b>&amp;</b> -- //",
    "=1+1; DROP TABLE users; --",
    "x" * 200,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_comes_out_intact(bare_template: Path, tmp_path: Path, text: str) -> None:
    project = render(
        bare_template, tmp_path / "p", project_name=text, project_description=text, user_name=text, package_name="app"
    )

    metadata = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert (metadata["description"], metadata["authors"]) == (text, [{"name": text}])
    assert [answers[key] for key in ("project_name", "project_description", "user_name")] == [text] * 3
    assert f"# {text}\n\n{text}\n" in (project / "README.md").read_text(encoding="utf-8")
    held = [str(path.relative_to(project)) for path in files(project) if text in path.read_text(encoding="utf-8")]
    assert set(held) <= {"pyproject.toml", "README.md", ".copier-answers.yml", "LICENSE"}


@pytest.mark.parametrize(
    ("question", "answer", "message"),
    [
        ("project_name", "", "can't be blank"),
        ("project_name", "   ", "can't be blank"),
        ("project_name", " x", "Remove the space"),
        ("project_name", "two\nlines", "one line"),
        ("project_name", "tab\there", "control character"),
        ("project_name", "bell\x07", "control character"),
        ("project_name", "re\u202eversed", "control character"),
        ("project_name", "iso\u2066lated", "control character"),
        ("project_name", "next\x85line", "control character"),
        ("project_name", "mark\ufeff!", "control character"),
        ("project_name", "non\uffff!", "control character"),
        ("project_name", "half\ud83d!", "control character"),
        ("project_name", "x" * 201, "201 characters are too many. Type at most 200"),
        ("project_description", "", "can't be blank"),
        ("project_description", "line\u2028separator", "one line"),
        ("user_name", "", "can't be blank"),
        ("user_name", "delete\x7f", "control character"),
        ("package_name", "", "such as: app"),
        ("package_name", "My-App", "such as: my_app"),
        ("package_name", "2fast", "such as: app_2fast"),
        ("package_name", "shop\n", "such as: shop"),
        ("package_name", "conftest", "such as: conftest_app"),
        ("package_name", "src", "such as: src_app"),
        ("package_name", "pip", "such as: pip_app"),
        ("package_name", "unit", "such as: unit_app"),
        ("package_name", "a__b", "such as: a_b"),
        ("package_name", "class", "such as: class_app"),
        ("package_name", "json", "such as: json_app"),
        ("package_name", "pydantic", "such as: pydantic_app"),
        ("package_name", "tests", "such as: tests_app"),
        ("package_name", "openai", "such as: openai_app"),
        ("package_name", "x" * 41, "at most 40"),
        ("user_email", "ada", "ada@example.com"),
        ("user_email", "ada@localhost", "ada@example.com"),
        ("user_email", 'a"b@example.com', "ada@example.com"),
        ("user_email", "a@b.c\n", "ada@example.com"),
        ("github_user", "https://github.com/ada", "such as ada-lovelace"),
        ("github_user", "-ada", "such as ada-lovelace"),
        ("github_user", "ada\n", "such as ada-lovelace"),
        ("github_user", "a" * 40, "such as ada-lovelace"),
        ("license", "GPL", "license"),
        ("python_version", "3.11", "python_version"),
        ("capabilities", ["telepathy"], "capabilities"),
        ("capabilities", ["documents"], "Choose llm as well: documents needs it"),
        ("capabilities", ["agent", "notebooks"], "Choose llm as well: agent needs it"),
        ("capabilities", ["evals"], "Choose llm as well: evals needs it"),
        ("llm_providers", ["delphi"], "llm_providers"),
        ("llm_providers", [], "Choose at least one, such as: openai"),
    ],
)
def test_a_bad_answer_is_refused(bare_template: Path, tmp_path: Path, question: str, answer: Any, message: str) -> None:
    with pytest.raises((ValueError, CopierError), match=re.escape(message)) as caught:
        render(bare_template, tmp_path / "my-app", **{question: answer})

    assert question in str(caught.value)
    if match := re.match(r"Validation error for question '\w+': (.*)", str(caught.value), re.DOTALL):
        assert len(match[1].strip()) <= WIDTH
    assert not (tmp_path / "my-app").exists()


@pytest.mark.parametrize(
    ("folder", "package"),
    [
        ("my-app", "my_app"),
        ("Support Triage", "support_triage"),
        ("2024-report", "app_2024_report"),
        ("json", "json_app"),
        ("tests", "tests_app"),
        ("日本", "app"),
        ("a.b__c!", "a_b_c"),
        ("n" * 60, "n" * 40),
        ("n" * 39 + "-x", "n" * 39),
        ("my_shop", "my_shop"),
        ('quo"te \\ {{ x }}', "quo_te_x"),
    ],
)
def test_no_answer_at_all_renders_a_sound_project(
    bare_template: Path, tmp_path: Path, folder: str, package: str
) -> None:
    project = render(bare_template, tmp_path / folder)

    metadata = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["scripts"] == {package: f"{package}.cli:app"}
    assert (project / "src" / package / "cli.py").exists()
    assert (project / "README.md").read_text(encoding="utf-8").startswith(f"# {folder}\n")


@pytest.mark.parametrize("name", sorted(ASKED))
def test_a_question_fits_a_terminal(name: str) -> None:
    question = QUESTIONS[name]
    choices = question.get("choices", [])

    assert len(question.get("help", "")) <= WIDTH
    assert [choice for choice in choices if len(choice) > WIDTH] == []


def test_the_messages_fit_a_terminal() -> None:
    for name in ("_message_after_copy", "_message_before_update", "_message_after_update"):
        assert max(len(line) for line in COPIER_YML[name].splitlines() if "{%" not in line) <= 78


def test_the_longest_names_still_get_a_whole_message(bare_template: Path, tmp_path: Path) -> None:
    for name in ("opentelemetry_exporter_otlp_proto_common", "Ab" * 60):
        with pytest.raises(ValueError, match="Type one such as") as caught:
            render(bare_template, tmp_path / "my-app", package_name=name)

        assert len(str(caught.value).partition(": ")[2].strip()) <= WIDTH


def test_a_folder_inside_a_repository_is_told_about_github(
    bare_template: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("inside", "outside"):
        (tmp_path / name / "apps").mkdir(parents=True)
    run("git", "init", "--quiet", tmp_path / "inside", cwd=tmp_path)

    said = {}
    for name in ("inside", "outside"):
        run_copy(str(bare_template), tmp_path / name / "apps" / "my-app", data={"capabilities": []}, defaults=True)
        said[name] = capfd.readouterr().err

    assert "It lies inside another repository." in said["inside"]
    assert "GitHub reads .github/ at a repository's root only" in said["inside"]
    assert "is ready. Next:" in said["outside"]
    assert "GitHub" not in said["outside"]


def test_an_answer_to_no_question_is_an_error_of_the_test(bare_template: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="projct_name"):
        render(bare_template, tmp_path / "p", projct_name="x")


def test_no_name_is_missing_among_the_reserved(default_project: Path, template: Path, tmp_path: Path) -> None:
    """A package may shadow neither a module nor a distribution that the project depends on."""
    everything = render(
        template,
        tmp_path / "all",
        **{name: CHOICES[name] for name in ("capabilities", "llm_providers", "ml_libraries")},
    )
    run("uv", "lock", "--quiet", cwd=everything)
    locked = {package["name"] for package in tomllib.loads((everything / "uv.lock").read_text("utf-8"))["package"]}
    script = "import json, importlib.metadata as m; print(json.dumps(list(m.packages_distributions())))"
    modules = json.loads(run(default_project / ".venv/bin/python", "-c", script, cwd=tmp_path).stdout)
    own = {"all", "my_app"}
    names = {*locked, *modules, *sys.stdlib_module_names, *keyword.kwlist}
    names = {name.replace("-", "_").replace(".", "_") for name in names} - own
    could_be_typed = {name for name in names if re.fullmatch(r"[a-z](_?[a-z0-9])*", name) and len(name) <= 40}

    listed = (template / "includes/reserved.jinja").read_text(encoding="utf-8").split()

    assert sorted(could_be_typed - set(listed)) == [], "add these to includes/reserved.jinja"


@pytest.mark.parametrize("name", ["README.md", "Makefile", "pyproject.toml", "LICENSE", ".gitignore", "CHANGELOG.md"])
def test_a_folder_that_holds_something_is_left_alone(bare_template: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "taken"
    folder.mkdir()
    (folder / name).write_text("mine", encoding="utf-8")

    with pytest.raises(ValueError, match=rf"Empty the folder or add --overwrite: it holds {name}"):
        render(bare_template, folder)

    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == {name: "mine"}
    run_copy(str(bare_template), folder, defaults=True, quiet=True, overwrite=True)
    assert (folder / name).read_text(encoding="utf-8") != "mine"


def test_a_second_copy_over_a_project_is_left_to_copier(bare_template: Path, tmp_path: Path) -> None:
    """It asks about each file that differs; here none does."""
    project = render(bare_template, tmp_path / "p")
    before = {path: path.read_bytes() for path in files(project)}

    render(bare_template, project)

    assert {path: path.read_bytes() for path in files(project)} == before


def test_a_name_that_does_not_exist_stops_the_rendering(bare_template: Path, tmp_path: Path) -> None:
    """A misspelt answer in a template must not come out as nothing."""
    copy = tmp_path / "template"
    shutil.copytree(bare_template, copy, symlinks=True)
    (copy / "template" / "extra.txt.jinja").write_text("{{ projct_name }}\n", encoding="utf-8")
    run("git", "add", "--all", cwd=copy)
    run("git", "commit", "--quiet", "--message", "feat: extra", cwd=copy)

    command: list[str | Path] = ["copy", "--defaults", "--quiet", "--vcs-ref", "HEAD", copy, tmp_path / "p"]
    assert "'projct_name' is undefined" in run(COPIER, *command, cwd=tmp_path, expect=1).stdout


@pytest.mark.parametrize(
    ("source", "remembered"),
    [
        ("https://git.example.com/our/fork.git", None),
        ("git@git.example.com:our/fork.git", None),
        ("gh:our/fork", None),
        ("{folder}", "upstream"),
    ],
)
def test_where_the_template_came_from_is_remembered(
    bare_template: Path, tmp_path: Path, source: str, remembered: str | None
) -> None:
    """An address is, a folder of somebody's machine is not."""
    addresses = ["https://git.example.com/our/fork", "git@git.example.com:our/fork", "https://github.com/our/fork"]
    redirect = {"GIT_CONFIG_COUNT": str(len(addresses))}
    for number, address in enumerate(addresses):
        redirect[f"GIT_CONFIG_KEY_{number}"] = f"url.file://{bare_template}.insteadOf"
        redirect[f"GIT_CONFIG_VALUE_{number}"] = f"{address}.git"

    with local.env(**redirect):  # Copier's git sees plumbum's environment, not the process's
        run_copy(source.format(folder=bare_template), tmp_path / "p", defaults=True, quiet=True)

    answers = yaml.safe_load((tmp_path / "p" / ".copier-answers.yml").read_text("utf-8"))
    assert answers["_src_path"] == (COPIER_YML["upstream"]["default"] if remembered else source)


def test_a_folder_with_only_a_git_repository_is_fine(bare_template: Path, tmp_path: Path) -> None:
    run("git", "init", "--quiet", tmp_path / "p", cwd=tmp_path)

    render(bare_template, tmp_path / "p")

    assert (tmp_path / "p" / "pyproject.toml").exists()


def test_copier_update_is_not_taken_for_a_second_copy(template: Path, project: Path) -> None:
    """The check for a taken folder must not stop an update; nothing has changed, so nothing does."""
    settings = environment(**redirect(template))

    run(COPIER, "update", "--defaults", cwd=project, env=settings)

    assert run("git", "status", "--porcelain", cwd=project).stdout == ""


def test_the_questions_are_asked_and_judged_at_a_terminal(bare_template: Path, tmp_path: Path) -> None:
    """A person who types a bad name sees why, types another, and gets the project."""
    arguments = ["-m", "copier", "copy", str(bare_template), str(tmp_path / "my-app")]
    terminal = pexpect.spawn(
        sys.executable,
        arguments,
        encoding="utf-8",
        timeout=60,
        dimensions=(40, 200),
        env=environment(PROMPT_TOOLKIT_NO_CPR="1"),
    )

    def answer(question: str, text: str | None = None) -> None:
        terminal.expect_exact(question)
        terminal.send("\r" if text is None else f"\x05\x15{text}\r")  # to the end, clear the line, type

    answer("called?", "Zürich Triage")
    answer("in one sentence?")
    answer("package called?", "json")
    terminal.expect_exact("such as: json_app")
    terminal.send("\x05\x15triage\r")
    for question in (
        "authors?",
        "reached?",
        "GitHub user",
        "licence?",
        "oldest Python",
        "able to do?",
        "Whose models",
        "libraries",
    ):
        answer(question)
    terminal.expect_exact("Zürich Triage is ready. Next:")
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert terminal.exitstatus == 0
    assert (tmp_path / "my-app" / "src" / "triage").is_dir()
