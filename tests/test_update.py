"""`copier update` from every released version, with what users do to a project, loses nothing and converges."""

import re
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from copier import run_copy, run_update
from harness import ADDRESS, COPIER_YML, ROOT, commit, environment, files, read_answers, redirect, run
from pathspec import PathSpec
from plumbum import local

NEXT = "v999.0.0"  # with a sample of the library's files
COMPLETE = "v999.1.0"


def released() -> dict[str, str]:
    """The released versions and their commits: only the branch travels, so they are read from its history."""
    log = run("git", "log", "--first-parent", "--format=%H %s", cwd=ROOT).stdout.splitlines()
    found = {
        match[2]: match[1]
        for line in reversed(log)
        if (match := re.fullmatch(r"(\w+) release: (v\d+\.\d+\.\d+)", line))
    }
    if "v0.1.0" not in found:
        raise RuntimeError("the history is too shallow to know the releases: git fetch --unshallow")
    return found


RELEASED = released()


def test_a_history_that_is_too_shallow_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", tmp_path / "shallow", cwd=tmp_path)
    monkeypatch.setattr("test_update.ROOT", tmp_path / "shallow")

    with pytest.raises(RuntimeError, match="too shallow to know the releases: git fetch --unshallow"):
        released()


def publish(folder: Path, working: Path, version: str) -> None:
    """Make a working tree the next release of a repository."""
    run("git", "rm", "-r", "--quiet", ".", cwd=folder)
    shutil.copytree(working, folder, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git"))
    run("git", "add", "--all", "--force", cwd=folder)
    run("git", "commit", "--quiet", "--no-verify", "--allow-empty", "--message", f"release: {version}", cwd=folder)
    run("git", "tag", version, cwd=folder)


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory, thin_template: Path) -> Iterator[Path]:
    """Stand in for the public repository: every release, and the working tree as the next one."""
    folder = tmp_path_factory.mktemp("releases") / "upstream"
    run("git", "clone", "--quiet", ROOT, folder, cwd=ROOT)
    for tag, revision in RELEASED.items():
        run("git", "tag", "--force", tag, revision, cwd=folder)
    publish(folder, thin_template, NEXT)
    with (
        pytest.MonkeyPatch.context() as patch,
        local.env(**redirect(folder)),
    ):  # Copier's git sees plumbum's environment
        for key, value in redirect(folder).items():
            patch.setenv(key, value)
        yield folder


# ---- What users do to a project. Each edit works on any version, so that it can be made after an update as well ----


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def append(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((path.read_text("utf-8") if path.exists() else "") + text, encoding="utf-8")


def add_a_function(project: Path) -> None:
    append(project / "src/shop/reply.py", "\n\ndef shout(text: str) -> str:\n    return text.upper()\n")
    replace(
        project / "src/shop/cli.py",
        "@app.command()\ndef parse(",
        '@app.command()\ndef ping() -> None:\n    """Say."""\n    typer.echo("pong")\n\n\n@app.command()\ndef parse(',
    )


def change_dependencies(project: Path) -> None:
    replace(project / "pyproject.toml", '  "typer>=0.29",\n\n', '  "typer>=0.29",\n  "tomli-w>=1",\n\n')
    replace(project / "pyproject.toml", '  # "xgboost>=3.1",  # gradient boosting\n', "")


def rewrite_the_readme(project: Path) -> None:
    (project / "README.md").write_text("# The shop\n\nAll ours.\n", encoding="utf-8")
    append(project / "CHANGELOG.md", "\n## 0.0.1\n\n- Ours.\n")


def add_a_make_target(project: Path) -> None:
    append(project / "Makefile", "\n.PHONY: deploy\ndeploy: ## Deploy\n\t@echo deployed\n")


def change_a_ruff_rule(project: Path) -> None:
    replace(project / "pyproject.toml", '  "A005", ', '  "FIX",     # we do leave a TODO\n  "A005", ')


def add_a_hook(project: Path) -> None:
    hook = "      - id: ours\n        name: ours\n        entry: 'true'\n        language: system\n"
    append(project / ".pre-commit-config.yaml", hook)


def delete_a_file(project: Path) -> None:
    (project / ".editorconfig").unlink()
    (project / "src/shop/triage.py").unlink()


def rename_a_file(project: Path) -> None:
    (project / "tests/unit/test_reply.py").rename(project / "tests/unit/test_replies.py")


def write_a_notebook(project: Path) -> None:
    append(project / "notebooks/ours.ipynb", "{}\n")


EDITS: list[Callable[[Path], None]] = [
    add_a_function,
    change_dependencies,
    rewrite_the_readme,
    add_a_make_target,
    change_a_ruff_rule,
    add_a_hook,
    delete_a_file,
    rename_a_file,
    write_a_notebook,
]

# ---- The patterns of copier.yml ----

PATTERNS = [
    (kind, match[1])
    for kind in ("_exclude", "_skip_if_exists")
    for entry in COPIER_YML[kind]
    if (match := re.search(r"%\}(/.*?)\{%", entry))
]


@pytest.mark.parametrize(("kind", "pattern"), PATTERNS)
def test_an_entry_matches_a_file_that_it_is_meant_for(kind: str, pattern: str) -> None:
    """Copier splits an entry of `_exclude` into lines, and one of `_skip_if_exists` it does not: one pattern each."""
    known = [name for version in RELEASED for name in contents(rendered(version))]
    listed = run("git", "ls-files", "template", "toolkit", cwd=ROOT).stdout.splitlines()
    listed += run("git", "ls-files", "--others", "--exclude-standard", "template", "toolkit", cwd=ROOT).stdout.split()
    known += [name.removeprefix("template/").removesuffix(".jinja") for name in listed]
    known = [name.replace("{{ package_name }}", "shop") for name in known]

    found = [name for name in known if PathSpec.from_lines("gitignore", [pattern]).match_file(name)]

    assert "\n" not in pattern
    assert found, f"{kind}: {pattern} matches nothing"


def test_no_entry_holds_two_patterns() -> None:
    assert [entry for kind in ("_exclude", "_skip_if_exists") for entry in COPIER_YML[kind] if "\n" in entry] == []
    assert len(PATTERNS) > 30


# ---- The updates ----

pytestmark = pytest.mark.usefixtures("releases")

ANSWERS: dict[str, Any] = {
    "project_name": "The “Shop”",
    "project_description": 'Sells "things": 100% #1',
    "package_name": "shop",
    "user_name": "Renée O'Neil",
    "user_email": "renee@example.com",
    "license": "MIT",
    "capabilities": ["notebooks"],
}
# The user's own from the start.
OWNED = [
    "README.md",
    "CHANGELOG.md",
    "docs/adr",
    "src/shop/triage.py",
    "tests/functional/test_example.py",
    "notebooks",
]
# Part of the first releases, of the library since: a project that has them keeps them, as its own.
KEPT = [
    "src/shop/reply.py",
    "src/shop/lenient_json.py",
    "src/shop/logging.py",
    "tests/conftest.py",
    "tests/unit/test_reply.py",
    "tests/unit/test_lenient_json.py",
    "tests/unit/test_logging.py",
]


@cache
def _folder_of_renders() -> Path:
    return Path(tempfile.mkdtemp(prefix="renders-"))


def rendered(version: str, **answers: Any) -> Path:
    """Render a version, once for all tests that take the same answers; they only copy it."""
    folder = _folder_of_renders() / f"{version}-{hash(repr(sorted(answers.items())))}"
    if not folder.exists():
        run_copy(ADDRESS, folder, data=ANSWERS | answers, vcs_ref=version, defaults=True, quiet=True)
    return folder


def started(version: str, folder: Path, edits: list[Callable[[Path], None]], **answers: Any) -> Path:
    """Make a project with a released version, and work in it."""
    shutil.copytree(rendered(version, **answers), folder)
    run("git", "init", "--quiet", "--initial-branch=main", cwd=folder)
    commit(folder, "feat: start")
    for edit in edits:
        edit(folder)
    if edits:
        commit(folder, "feat: work")
    return folder


def expected(version: str, before: Path, folder: Path, edits: list[Callable[[Path], None]], **answers: Any) -> Path:
    """Make what an update should come to: the new version, what is the user's own as it was, and the user's edits."""
    shutil.copytree(rendered(NEXT, **answers), folder)
    for name in KEPT:
        if (rendered(version) / name).exists():
            shutil.copy2(rendered(version) / name, folder / name)
    for edit in edits:
        edit(folder)
    for name in OWNED:
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).unlink(missing_ok=True)
        if (before / name).is_dir():
            shutil.copytree(before / name, folder / name)
        elif (before / name).exists():
            shutil.copy2(before / name, folder / name)
    return folder


def contents(project: Path) -> dict[str, str]:
    return {
        str(path.relative_to(project)): path.read_text("utf-8")
        for path in files(project)
        if ".git" not in path.relative_to(project).parts
    }


def check_update(project: Path, tmp_path: Path, edits: list[Callable[[Path], None]], **changed: Any) -> None:
    before = tmp_path / "before"
    shutil.copytree(project, before)
    answered = read_answers(project)

    run_update(project, data=changed, defaults=True, overwrite=True, quiet=True)

    assert run("git", "ls-files", "--unmerged", cwd=project).stdout == ""
    found = contents(project)
    assert not [name for name in found if name.endswith(".rej")]
    assert not [name for name, text in found.items() if re.search(r"^(<{7}|>{7}) ", text, re.MULTILINE)]
    assert read_answers(project) == answered | changed | {"_commit": NEXT}
    target = expected(answered["_commit"], before, tmp_path / "expected", edits, **changed)
    assert found == contents(target)


@pytest.mark.parametrize("version", RELEASED)
def test_all_edits_together_survive_an_update(tmp_path: Path, version: str) -> None:
    check_update(started(version, tmp_path / "shop", EDITS), tmp_path, EDITS)


@pytest.mark.parametrize("version", RELEASED)
def test_the_python_can_be_raised_by_an_update(tmp_path: Path, version: str) -> None:
    check_update(started(version, tmp_path / "shop", EDITS), tmp_path, EDITS, python_version="3.13")


@pytest.mark.parametrize("version", RELEASED)
def test_a_capability_can_be_switched_on_by_an_update(tmp_path: Path, version: str) -> None:
    edits = [edit for edit in EDITS if edit is not write_a_notebook]
    project = started(version, tmp_path / "shop", edits, capabilities=[])

    run_update(project, data={"capabilities": ["notebooks"]}, defaults=True, overwrite=True, quiet=True)

    assert (project / "notebooks" / "replies.ipynb").exists()
    assert "nbclient" in (project / "pyproject.toml").read_text("utf-8")
    assert run("git", "ls-files", "--unmerged", cwd=project).stdout == ""


@pytest.mark.parametrize("version", RELEASED)
def test_a_capability_can_be_switched_off_by_an_update(tmp_path: Path, version: str) -> None:
    project = started(version, tmp_path / "shop", EDITS)

    run_update(project, data={"capabilities": []}, defaults=True, overwrite=True, quiet=True)

    assert not (project / "tests/functional/test_notebooks.py").exists()
    assert not (project / "notebooks" / "replies.ipynb").exists()
    assert (project / "notebooks" / "ours.ipynb").exists()
    assert "nbclient" not in (project / "pyproject.toml").read_text("utf-8")
    assert run("git", "ls-files", "--unmerged", cwd=project).stdout == ""


@pytest.mark.parametrize("version", RELEASED)
def test_the_gateway_can_be_switched_on_by_an_update(tmp_path: Path, version: str) -> None:
    changed = {"capabilities": ["llm", "notebooks"], "llm_providers": ["openai"]}

    check_update(started(version, tmp_path / "shop", EDITS), tmp_path, EDITS, **changed)

    for name in (
        "config/llm.toml",
        "config/prompts/triage.md",
        "src/shop/tickets.py",
        "toolkit/src/ai_base/llm/gateway/gateway.py",
    ):
        assert (tmp_path / "shop" / name).exists()
    assert not (tmp_path / "shop" / "tests/integration/test_endpoint.py").exists()


def test_the_gateway_can_be_switched_off_by_an_update(tmp_path: Path) -> None:
    project = started(NEXT, tmp_path / "shop", [], capabilities=["llm", "notebooks"])
    append(project / "config/ours.toml", "a = 1\n")
    commit(project)

    run_update(project, data={"capabilities": ["notebooks"]}, defaults=True, overwrite=True, quiet=True)

    readme = (project / "README.md").read_text("utf-8")
    fresh = started(NEXT, tmp_path / "fresh", [], capabilities=["notebooks"])
    assert contents(project) == contents(fresh) | {"config/ours.toml": "a = 1\n", "README.md": readme}
    assert "llm_providers" not in read_answers(project)


def test_own_lines_in_the_slots_survive_a_switch_of_capabilities(tmp_path: Path) -> None:
    """Layers and `.env.example` change with the capabilities; what stands below "Yours" does not get in the way."""
    project = started(NEXT, tmp_path / "shop", [], capabilities=["notebooks"])
    slot = "  # Yours: updates of the template leave the lines below alone.\n"
    pyproject = project / "pyproject.toml"
    text = pyproject.read_text("utf-8")
    assert text.count(slot) == 2  # dependencies and layers
    pyproject.write_text(text.replace(slot, f'{slot}  "ours",\n'), encoding="utf-8")
    append(project / ".env.example", "OURS=1\n")
    append(project / ".pre-commit-config.yaml", "      # ours\n")
    commit(project)

    for capabilities in (["llm", "notebooks"], [], ["llm"]):
        run_update(project, data={"capabilities": capabilities}, defaults=True, overwrite=True, quiet=True)

        assert run("git", "ls-files", "--unmerged", cwd=project).stdout == ""
        assert pyproject.read_text("utf-8").count(f'{slot}  "ours",\n') == 2
        assert (project / ".env.example").read_text("utf-8").endswith("alone ----\nOURS=1\n")
        assert (project / ".pre-commit-config.yaml").read_text("utf-8").endswith("      # ours\n")
        commit(project, "chore: switch")


def test_a_dependency_that_uv_added_survives_a_switch_of_capabilities(tmp_path: Path) -> None:
    project = started(NEXT, tmp_path / "shop", [], capabilities=["llm"])
    run("uv", "add", "--quiet", "--frozen", "httpx>=0.28", cwd=project)
    commit(project)

    run_update(project, data={"capabilities": ["llm", "agent"]}, defaults=True, overwrite=True, quiet=True)

    assert run("git", "ls-files", "--unmerged", cwd=project).stdout == ""
    dependencies = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    assert [each for each in dependencies if each.startswith(("ai-base", "httpx"))] == [
        "ai-base[llm,agent,openai]",
        "httpx>=0.28",
    ]


def test_own_files_of_a_capability_survive_its_switch(tmp_path: Path) -> None:
    """They had the names first: an update neither overwrites them nor puts markers into them."""
    project = started(NEXT, tmp_path / "shop", [], capabilities=[])
    own = ("config/llm.toml", "src/shop/tickets.py", "notebooks/replies.ipynb", "tests/unit/test_triage.py")
    for name in own:
        append(project / name, "ours\n")
    commit(project)

    run_update(project, data={"capabilities": ["llm", "notebooks"]}, defaults=True, overwrite=True, quiet=True)

    assert {(project / name).read_text("utf-8") for name in own} == {"ours\n"}


def test_nothing_that_a_team_imports_disappears(tmp_path: Path) -> None:
    project = started("v0.1.0", tmp_path / "shop", [])
    run_update(project, defaults=True, overwrite=True, quiet=True)

    for name in ("reply", "lenient_json", "logging", "triage", "settings", "cli"):
        assert (project / f"src/shop/{name}.py").exists()
    settings = (project / "src/shop/settings.py").read_text("utf-8")
    assert '__all__ = ["Settings", "SettingsError", "load_settings"]' in settings


def test_configuration_prompts_and_example_are_the_users_own(tmp_path: Path) -> None:
    project = started(NEXT, tmp_path / "shop", [], capabilities=["llm"], llm_providers=["anthropic", "google"])
    append(project / "config/llm.toml", "# ours\n")
    (project / "config/prompts/triage.md").unlink()
    (project / "src/shop/tickets.py").unlink()
    commit(project)
    before = contents(project)

    run_update(project, defaults=True, overwrite=True, quiet=True)

    assert contents(project) == before


@pytest.mark.parametrize("version", RELEASED)
def test_a_name_that_got_reserved_since_is_kept(tmp_path: Path, version: str) -> None:
    project = started(version, tmp_path / "shop", [], package_name="openai")
    before = contents(project)

    with pytest.raises(ValueError, match="Leave llm out: it needs a package of this project's name"):
        run_update(project, data={"capabilities": ["llm"]}, defaults=True, overwrite=True, quiet=True)
    assert contents(project) == before
    run_update(project, defaults=True, overwrite=True, quiet=True)

    assert read_answers(project)["package_name"] == "openai"
    assert (project / "src/openai/cli.py").exists()


@pytest.mark.parametrize("version", RELEASED)
def test_what_is_the_users_own_is_not_even_brought_back(tmp_path: Path, version: str) -> None:
    def delete_all_that_is_ours(project: Path) -> None:
        for name in OWNED:
            run("rm", "-rf", name, cwd=project)

    check_update(started(version, tmp_path / "shop", [delete_all_that_is_ours]), tmp_path, [delete_all_that_is_ours])


@pytest.mark.full
def test_make_template_update_validates(releases: Path, template: Path, tmp_path: Path) -> None:
    """The commands that a user types, from the oldest project to a green one. (From others the same files come out.)"""
    complete = tmp_path / "complete"
    run("git", "clone", "--quiet", releases, complete, cwd=tmp_path)
    publish(complete, template, COMPLETE)
    env = environment(**redirect(complete))
    edits = [edit for edit in EDITS if edit not in (delete_a_file, write_a_notebook)]
    project = started(next(iter(RELEASED)), tmp_path / "shop", edits)
    run("make", "init", cwd=project)
    commit(project, "chore: lock", "--no-verify")

    output = run("make", "template-check", cwd=project, env=env).stdout
    assert COMPLETE.removeprefix("v") in output
    output = run("make", "template-update", cwd=project, env=env).stdout

    assert "validate-branch: all passed" in output
    assert read_answers(project)["_commit"] == COMPLETE
    assert "deployed" in run("make", "deploy", cwd=project).stdout


def test_in_a_monorepo_the_conflicts_are_listed_as_seen_from_the_project(tmp_path: Path) -> None:
    oldest, project = next(iter(RELEASED)), tmp_path / "mono" / "apps" / "shop"
    shutil.copytree(rendered(oldest), project)
    run("git", "init", "--quiet", tmp_path / "mono", cwd=tmp_path)
    old, new = ((folder / "AGENTS.md").read_text("utf-8").splitlines() for folder in (project, rendered(NEXT)))
    changed = next(line for line in old if line and line not in new)
    replace(project / "AGENTS.md", changed, f"Ours: {changed}")
    # The update in question is the one that comes after this version: today's commands do it.
    shutil.copy2(rendered(NEXT) / "Makefile", project / "Makefile")
    commit(project)

    output = run("make", "template-update", cwd=project, expect=2).stdout

    assert "these files need your decision" in output
    assert re.search(r"^AGENTS\.md$", output, re.MULTILINE)
    assert "apps/shop" not in output.partition("need your decision")[2]


@pytest.mark.parametrize("short", ["gh:{}", "gh:{}.git", "git+https://github.com/{}.git"])
def test_template_check_knows_copiers_forms_of_an_address(tmp_path: Path, short: str) -> None:
    project = started(NEXT, tmp_path / "shop", [])
    name = ADDRESS.removeprefix("https://github.com/").removesuffix(".git")
    answers = project / ".copier-answers.yml"
    text = re.sub(r"^_src_path: .*", f"_src_path: {short.format(name)}", answers.read_text("utf-8"), flags=re.MULTILINE)
    answers.write_text(text.replace(f"_commit: {NEXT}", "_commit: v0.2.0"), encoding="utf-8")
    commit(project, "chore: ours")

    output = run("make", "template-check", cwd=project).stdout

    assert "999.0.0" in output
    assert "out of reach" not in output


def test_without_the_network_the_commands_say_so(project: Path, tmp_path: Path) -> None:
    nowhere = environment(**redirect(tmp_path / "nowhere"), COPIER_CACHE_DIR=str(tmp_path / "cache"))

    for target in ("template-check", "template-update"):
        output = run("make", target, cwd=project, env=nowhere, expect=2).stdout
        assert "_src_path in .copier-answers.yml, is out of reach" in output
        assert "Traceback" not in output
