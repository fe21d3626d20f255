"""Every variant renders to files that are sound, and that hold no trace of what was not chosen."""

import itertools
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from harness import ASKED, CHOICES, COPIER_YML, ROOT, files, render, run

CAPABILITIES = [
    list(chosen)
    for count in range(len(CHOICES["capabilities"]) + 1)
    for chosen in itertools.combinations(CHOICES["capabilities"], count)
    if "llm" in chosen or not {"documents", "agent", "evals"} & {*chosen}
]
# The library's own metadata and its checklist name all that it can do.
EXEMPT = {"toolkit/pyproject.toml", "toolkit/README.md", "toolkit/docs/checklist.md"}
# How the library's core finds a project's root, and gives each test a database; and how it replays an agent's run.
SHARED_LINES = [
    'MARKERS = ("config/llm.toml", ',
    'patch.setenv("DATABASE_URL", ',
    'import_module("genai_prices.data")',
    'patch.setenv("DOCUMENTS_INDEX", f"{folder}/documents.db")',
    "from ai_base.agent import Limits, SimpleReActAgent",
    "agent = SimpleReActAgent(",
    "other than `SimpleReActAgent`",
    "run of SimpleReActAgent",
]
# Words that only a repository with the capability holds.
TRACES = {
    "llm": (
        r"gateway|openai_api|pydantic.ai|genai|jinja|ledger|budget|prompts?/|triage_ticket|tickets\.py|weekend"
        r"|checklist|database_url|llm_config|llm_providers|llm\.toml|LLM__|/llm\b|\.llm\b|psycopg|matplotlib|opentelemetry"
    ),
    "documents": (
        r"ai_base[./]documents|documents/|documents\.(db|md)|\bdocuments (index|ask|search)|DOCUMENTS_"
        r"|candidates\.embedding\]|embeddings = \[|retrieval|numpy\.\*|obstore|pypdf|text_splitter"
    ),
    "agent": r"SimpleReActAgent|ai_base[./]agent\b|/agent/|agent\.md|assistant\.|def assist|report_run",
    "evals": r"ai_base[./]evals|\bevals/|evals\.(py|md)|cost_centers\.evals|make (eval|drift)|DATASETS|drift\.yml",
    "notebooks": r"notebook|jupyter|ipynb|nbclient|nbstripout|ipykernel",
}


def variants() -> Iterator[Any]:
    """Every set of capabilities; the answers to the other questions take turns."""
    for number, capabilities in enumerate(CAPABILITIES):
        licence = CHOICES["license"][number % len(CHOICES["license"])]
        python = CHOICES["python_version"][number % len(CHOICES["python_version"])]
        answers = {"capabilities": capabilities, "license": licence, "python_version": python}
        answers["ml_libraries"] = [[], ["numpy"], CHOICES["ml_libraries"]][number % 3]
        if "llm" in capabilities:
            answers["llm_providers"] = [["openai"], ["anthropic", "google"], CHOICES["llm_providers"]][number % 3]
        answers["github_user"] = ["", "ada-lovelace"][number % 2]
        answers["user_email"] = ["", "ada@example.com"][number % 2]
        yield pytest.param(answers, id=f"{'+'.join(capabilities) or 'base'}-{licence}-{python}")


@pytest.mark.parametrize("answers", list(variants()))
def test_every_variant_is_sound(template: Path, tmp_path: Path, answers: dict[str, Any]) -> None:
    project = render(template, tmp_path / "support-triage", **answers)

    for path in files(project):
        source = str(path.relative_to(project)).replace("support_triage", "{{ package_name }}")
        check_text(path, (ROOT / "template" / source).exists())
        check_syntax(path)
        for capability in set(CHOICES["capabilities"]) - set(answers["capabilities"]):
            trace = find_trace(capability, path.relative_to(project), path.read_text("utf-8"))
            assert not trace, f"{path} still speaks of {capability}: {trace}"
    check_makefile(project)
    check_metadata(project, answers)
    check_names_in_documents(project, made_later={".env", "uv.lock", ".venv"})
    check_clone(project)


def find_trace(capability: str, name: Path, text: str) -> re.Match[str] | None:
    """Find a word that only a repository with the capability should hold."""
    if str(name) in EXEMPT:
        return None
    for line in SHARED_LINES:
        text = text.replace(line, "")
    return re.search(TRACES[capability], f"{name}\n{text}", re.IGNORECASE)


def test_a_trace_would_be_found() -> None:
    assert find_trace("llm", Path("src/shop/cli.py"), "from ai_base.llm import Gateway")
    assert find_trace("notebooks", Path("notebooks/x.py"), "")
    assert find_trace("documents", Path("x.py"), "from ai_base.documents import Documents")
    assert find_trace("agent", Path("src/shop/assistant.py"), "")
    assert find_trace("evals", Path("evals/triage/cases.jsonl"), "")
    assert not find_trace("llm", Path("toolkit/README.md"), "gateway")


def check_text(path: Path, copied: bool) -> None:  # noqa: FBT001
    text = path.read_text(encoding="utf-8")
    if path.name == "py.typed":  # the standard asks for this one to be empty
        assert text == ""
        return
    assert text.strip(), f"{path} is empty"
    assert text.endswith("\n"), f"{path} ends without a line break"
    assert not text.endswith("\n\n"), f"{path} ends with an empty line"
    assert "\n\n\n\n" not in text, f"{path} has a hole"
    assert not re.search(r"[ \t]+$", text, re.MULTILINE), f"{path} has trailing white space"
    # What GitHub's workflows write with the same braces is in a file that is copied as it is.
    assert copied or not re.search(r"\{\{|\{%|\{#", text), f"{path} holds Jinja"


def check_syntax(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    match path.suffix:
        case ".py":
            compile(text, path, "exec")
        case ".toml":
            tomllib.loads(text)
        case ".yml" | ".yaml":
            yaml.safe_load(text)
        case ".json":
            json.loads(text)
        case ".ipynb":
            nbformat.validate(nbformat.reads(text, as_version=4))  # type: ignore[no-untyped-call]


def targets(project: Path) -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):", (project / "Makefile").read_text("utf-8"), re.MULTILINE))


def check_makefile(project: Path) -> None:
    run("make", "--dry-run", "--warn-undefined-variables", *sorted(targets(project)), cwd=project)
    listed = run("make", cwd=project).stdout
    assert "\033" not in listed
    documented = set(re.findall(r"^([\w-]+):.*## ", (project / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {line.split()[0] for line in listed.splitlines()} == documented


def check_metadata(project: Path, answers: dict[str, Any]) -> None:
    metadata = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    newer = [version for version in CHOICES["python_version"] if version >= answers["python_version"]]
    named = [line.split()[-1] for line in metadata["classifiers"] if line.startswith("Programming Language")]
    required = {re.split(r"[<>=]", requirement)[0] for requirement in metadata["dependencies"]}
    assert (metadata["name"], metadata["requires-python"]) == ("support-triage", f">={answers['python_version']}")
    assert named == newer
    providers = answers.get("llm_providers", [])
    extras = [name for name in ("llm", "documents", "agent", "evals") if name in answers["capabilities"]]
    library = f"ai-base[{','.join([*extras, *providers])}]" if extras else "ai-base"
    assert required - set(answers["ml_libraries"]) == {library, "pydantic", "typer"}
    assert required >= set(answers["ml_libraries"])
    private = "Private :: Do Not Upload" in metadata["classifiers"]
    assert private == (answers["license"] == "Proprietary")
    assert metadata["license"] == ("LicenseRef-Proprietary" if private else answers["license"])
    assert metadata["readme"] == "README.md"
    assert metadata["authors"][0].get("email", "") == answers["user_email"]
    owner = answers["github_user"]
    assert metadata.get("urls", {}) == ({"Repository": f"https://github.com/{owner}/support-triage"} if owner else {})
    licence = (project / "LICENSE").read_text(encoding="utf-8")
    first_words = {"Apache-2.0": "Apache License", "MIT": "MIT License", "BSD-3-Clause": "BSD 3-Clause License"}
    assert first_words.get(answers["license"], "No permission is granted") in licence
    remembered = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    not_asked = {"placeholder"} | ({"llm_providers"} if "llm" not in answers["capabilities"] else set())
    assert set(remembered) == ASKED - not_asked | {"_commit", "_src_path"}
    assert remembered["_commit"] == "v1.0.0"
    assert remembered["_src_path"] == COPIER_YML["upstream"]["default"]


def check_names_in_documents(project: Path, made_later: set[str]) -> None:
    """Every file, make target and variable that a document names in code exists."""
    variables = set(re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", (project / ".env.example").read_text("utf-8")))
    for path in [*project.glob("*.md"), *project.glob("docs/**/*.md")]:  # the library's: see the test below
        text = path.read_text(encoding="utf-8")
        code = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\bmake ([a-z][a-z-]*)", "\n".join(code)):
            assert target in targets(project), f"{path.name} names the target {target}"
        for word in itertools.chain.from_iterable(span.split() for span in code if "\n" not in span):
            if re.fullmatch(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+", word):
                assert word in variables, f"{path.name} names the variable {word}"
            if re.fullmatch(r"[\w.*-]*(/[\w.*-]*)+|\.?[\w-]+\.(py|md|toml|yml|yaml|lock|txt)|\.[a-z][\w.-]*", word):
                exists = word in made_later or list(project.glob(f"**/{word.strip('/')}"))
                assert exists, f"{path.name} names the file {word}"


def check_clone(project: Path) -> None:
    """What was rendered is what a clone holds: .gitignore hides nothing of it."""
    rendered = sorted(str(path.relative_to(project)) for path in files(project))
    run("git", "init", "--quiet", cwd=project)
    run("git", "add", "--all", cwd=project)
    assert sorted(run("git", "ls-files", cwd=project).stdout.splitlines()) == rendered


def test_documents_of_the_template_name_only_what_exists(template: Path) -> None:
    tracked = run("git", "ls-files", cwd=template).stdout.splitlines()
    tracked += [name.removeprefix("template/").removesuffix(".jinja") for name in tracked]
    # Examples of what a user may have, and files that only come into being.
    later = ["my-app", "starter", "answers.yml", "uv.lock", "uv.toml", ".venv/bin/uv"]
    later += ["documents.db", "tests/functional/test_replay_ID.py"]
    known = "".join(f"/{name}\n" for name in [*tracked, *later])
    rendered_targets = re.findall(
        r"^([a-z][\w-]*):", (template / "template/Makefile.jinja").read_text("utf-8"), re.MULTILINE
    )
    own = [
        path
        for pattern in ("*.md", "docs/adr/*.md", "toolkit/*.md", "toolkit/docs/*.md")
        for path in template.glob(pattern)
    ]
    for path in own:  # docs/walk.md is held to more by its test
        code = "\n".join(re.findall(r"`{1,3}([^`]+)`{1,3}", path.read_text(encoding="utf-8")))
        for target in re.findall(r"\bmake ([a-z][a-z-]*)", code):
            assert target in targets(template) | set(rendered_targets), f"{path.name} names the target {target}"
        for name in re.findall(r"(?<![\w/.<])((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|toml|yml|lock))(?![\w/])", code):
            assert re.search(rf"/{re.escape(name.removeprefix('../'))}", known), f"{path.name} names {name}"


def test_the_public_address_stands_in_one_place() -> None:
    listed = run("git", "grep", "--untracked", "-l", "github.com/ai-base-template", cwd=ROOT).stdout.split()

    assert [name for name in listed if not name.startswith("tests/")] == ["copier.yml"]


def test_shared_files_are_the_ones_that_this_repository_uses() -> None:
    """Bots see their pins, and we run what we ship."""
    shared = [path for path in (ROOT / "template" / ".github").rglob("*") if path.is_file()]

    assert [path.name for path in shared if not path.is_symlink()] == ["dependabot.yml"]
    for path in shared:
        if path.is_symlink():
            assert path.resolve() == ROOT / path.relative_to(ROOT / "template")


def test_both_makefiles_install_uv_the_same_way() -> None:
    recipes = [
        re.search(r"^install-uv:.*?\n\n", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        for path in (ROOT / "Makefile", ROOT / "template" / "Makefile.jinja")
    ]

    assert recipes[0]
    assert recipes[1]
    assert recipes[0][0] == recipes[1][0]
