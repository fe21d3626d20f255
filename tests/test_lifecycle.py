"""GitHub's "Use this template", and the starter: a copy becomes a project that updates, or stays as it was."""

import shutil
import tomllib
from pathlib import Path

import pexpect
import pytest
import yaml
from harness import ADDRESS, ROOT, commit, environment, files, read_answers, redirect, render, run

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def copied(template: Path, folder: Path) -> Path:
    """Make what GitHub makes: the files in one commit of a new history, without a tag, under another address."""
    run("git", "clone", "--quiet", template, folder, cwd=template)
    shutil.rmtree(folder / ".git")
    run("git", "init", "--quiet", "--initial-branch=main", cwd=folder)
    run("git", "add", "--all", "--force", cwd=folder)
    run("git", "commit", "--quiet", "--message", "Initial commit", cwd=folder)
    run("git", "remote", "add", "origin", "git@github.com:me/my-shop.git", cwd=folder)
    return folder


@pytest.fixture
def copy(thin_template: Path, tmp_path: Path) -> Path:
    return copied(thin_template, tmp_path / "My-Shop")


def hostile_git_configuration(folder: Path) -> Path:
    """Write a global configuration that signs without a key, and names branches in its own way."""
    path = folder / "gitconfig"
    path.write_text(
        "[commit]\n\tgpgsign = true\n[user]\n\tsigningkey = none\n[gpg]\n\tprogram = false\n"
        "[init]\n\tdefaultBranch = trunk\n[status]\n\tshowUntrackedFiles = no\n",
        encoding="utf-8",
    )
    return path


def test_a_starter_needs_no_key_to_sign_with(thin_template: Path, tmp_path: Path) -> None:
    run("git", "clone", "--quiet", thin_template, tmp_path / "clone", cwd=tmp_path)
    env = environment(**redirect(thin_template), GIT_CONFIG_GLOBAL=str(hostile_git_configuration(tmp_path)))

    output = run("make", "starter", "DEST=../starter", cwd=tmp_path / "clone", env=env).stdout

    assert run("git", "log", "--format=%s %D", cwd=tmp_path / "starter").stdout == "feat: starter HEAD -> main\n"
    for question in ("project_name", "package_name", "user_name"):  # each is a placeholder until it is given
        assert f"{question}=" in output


def tracked(project: Path, revision: str = "HEAD") -> dict[str, str]:
    """Map every committed file to its content's hash."""
    listed = run("git", "ls-tree", "-r", "--format=%(path) %(objectname)", revision, cwd=project).stdout.splitlines()
    return dict(line.rsplit(" ", 1) for line in listed)


def prepared(copy: Path, *arguments: str, **env: str) -> str:
    """Run the part of `make init` that makes the commit, and return that commit."""
    run("make", "prepare-init", "DEFAULTS=1", *arguments, cwd=copy, env=environment(**env))
    return (copy / ".git" / "new-project").read_text("utf-8").split()[0]


def version_in(copy: Path, commit: str) -> str:
    answers = yaml.safe_load(run("git", "show", f"{commit}:.copier-answers.yml", cwd=copy).stdout)
    assert answers["_src_path"] == ADDRESS
    return str(answers["_commit"])


@pytest.mark.full
def test_a_copy_becomes_a_project_that_updates(template: Path, tmp_path: Path) -> None:
    """Also on a machine whose git signs each commit, without a key."""
    copy = copied(template, tmp_path / "My-Shop")
    env = environment(**redirect(template), GIT_CONFIG_GLOBAL=str(hostile_git_configuration(tmp_path)))
    answers = tmp_path / "answers.yml"
    answers.write_text(
        "project_description: 'Sells \"things\"'\nuser_name: Ada\ncapabilities: [notebooks]\n", encoding="utf-8"
    )
    for name in ("site/index.html", "docs/reference/api.md", ".cache/site"):  # what `make docs` leaves in a copy
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).touch()

    run("make", "environment-create", "DEFAULTS=1", f"ANSWERS={answers}", cwd=copy, env=env)

    assert run("git", "log", "--format=%s", cwd=copy).stdout.splitlines() == [
        "feat: start from ai-base-template v1.0.0",
        "Initial commit",
    ]
    assert read_answers(copy)["_src_path"] == ADDRESS
    assert read_answers(copy)["_commit"] == "v1.0.0"
    assert read_answers(copy)["package_name"] == "my_shop"
    given = {"project_description": 'Sells "things"', "user_name": "Ada", "capabilities": ["notebooks"]}
    fresh = render(template, tmp_path / "fresh" / "My-Shop", **given)
    rendered = sorted(str(path.relative_to(fresh)) for path in files(fresh))
    assert sorted(tracked(copy)) == sorted([*rendered, "uv.lock"])
    for name in rendered:
        assert (copy / name).read_bytes() == (fresh / name).read_bytes()
    # GitHub lets no bot change a workflow; deleting one is no change.
    before, after = tracked(copy, "HEAD~1"), tracked(copy)
    workflows = [name for name in after if name.startswith(".github/workflows/")]
    assert workflows
    assert {name: after[name] for name in workflows} == {name: before[name] for name in workflows}
    assert run("git", "status", "--porcelain", cwd=copy).stdout == ""
    assert not (copy / ".git" / "new-project").exists()

    run("make", "init", cwd=copy, env=env)
    run("make", "environment-create", cwd=copy, env=env)
    assert "validate-branch: all passed" in run("make", "template-update", cwd=copy, env=env).stdout
    assert run("git", "status", "--porcelain", cwd=copy).stdout == ""


def test_the_exact_commit_is_found_by_its_tree(thin_template: Path, copy: Path, tmp_path: Path) -> None:
    later = tmp_path / "later"
    run("git", "clone", "--quiet", thin_template, later, cwd=tmp_path)
    for subject in ("first", "second"):
        (later / "note.txt").write_text(subject, encoding="utf-8")
        run("git", "add", "--all", cwd=later)
        run("git", "commit", "--quiet", "--message", f"feat: {subject}", cwd=later)
    (copy / "note.txt").write_text("first", encoding="utf-8")
    run("git", "add", "--all", cwd=copy)
    run("git", "commit", "--quiet", "--amend", "--no-edit", cwd=copy)

    version = version_in(copy, prepared(copy, **redirect(later)))

    assert version == run("git", "describe", "--tags", "HEAD~1", cwd=later).stdout.strip()
    assert version.startswith("v1.0.0-1-g")


def test_offline_the_version_in_the_copy_is_the_base(copy: Path, tmp_path: Path) -> None:
    assert version_in(copy, prepared(copy, **redirect(tmp_path / "nowhere"))) == f"v{VERSION}"


def test_a_tree_that_upstream_does_not_know_falls_back_as_well(thin_template: Path, copy: Path) -> None:
    (copy / "note.txt").write_text("mine", encoding="utf-8")
    run("git", "add", "--all", cwd=copy)
    run("git", "commit", "--quiet", "--amend", "--no-edit", cwd=copy)

    assert version_in(copy, prepared(copy, **redirect(thin_template))) == f"v{VERSION}"


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (
            "the template's own clone",
            "this is a clone of the template itself. To make a project: make new DEST=../my-app",
        ),
        ("the same over ssh", "this is a clone of the template itself"),
        ("a dirty tree", "there is uncommitted work, which would be lost"),
        ("work since the copy", "keep your work on a branch, go back to the copy with git reset --hard"),
        ("a bad answer", "Validation error for question 'package_name'"),
    ],
)
def test_what_is_no_untouched_copy_is_refused_and_left_alone(
    copy: Path, tmp_path: Path, case: str, message: str
) -> None:
    arguments = ["DEFAULTS=1"]
    match case:
        case "the template's own clone":
            run("git", "remote", "set-url", "origin", ADDRESS, cwd=copy)
        case "the same over ssh":
            ssh = ADDRESS.replace("https://github.com/", "git@github.com:")
            run("git", "remote", "set-url", "origin", ssh, cwd=copy)
        case "a dirty tree":
            (copy / "mine.txt").write_text("mine", encoding="utf-8")
        case "work since the copy":
            (copy / "mine.txt").write_text("mine", encoding="utf-8")
            run("git", "add", "--all", cwd=copy)
            run("git", "commit", "--quiet", "--message", "feat: mine", cwd=copy)
        case "a bad answer":
            (tmp_path / "answers.yml").write_text("package_name: json\n", encoding="utf-8")
            arguments.append(f"ANSWERS={tmp_path / 'answers.yml'}")
    before = {path: path.read_bytes() for path in files(copy) if ".git" not in path.relative_to(copy).parts}

    output = run("make", "init", *arguments, cwd=copy, expect=2).stdout

    assert message in output
    assert "Traceback" not in output
    assert {path: path.read_bytes() for path in files(copy) if ".git" not in path.relative_to(copy).parts} == before
    assert not (copy / ".git" / "new-project").exists()


def test_interrupted_at_a_question_nothing_has_changed(copy: Path) -> None:
    terminal = pexpect.spawn(
        "make", ["init"], cwd=str(copy), encoding="utf-8", timeout=60, env=environment(PROMPT_TOOLKIT_NO_CPR="1")
    )
    terminal.expect_exact("called?")
    terminal.send("\x03")
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert terminal.exitstatus
    assert run("git", "status", "--porcelain", cwd=copy).stdout == ""
    assert not (copy / ".git" / "new-project").exists()


KILLED_AT = {
    "read-tree, before": 'if [ "$1" = read-tree ]; then kill -9 0; fi',
    # Half of the files are exchanged, and git's lock is left behind.
    "read-tree, half-way": (
        'if [ "$1" = read-tree ]; then rm -rf tests; echo half > README.md; touch .git/index.lock; kill -9 0; fi'
    ),
    "read-tree, after": 'if [ "$1" = read-tree ]; then "$GIT" "$@"; kill -9 0; fi',
    "update-ref, after": 'if [ "$1" = update-ref ]; then "$GIT" "$@"; kill -9 0; fi',
    "reset, half-way": 'if [ "$1" = reset ]; then touch .git/index.lock; kill -9 0; fi',
}


@pytest.mark.full
@pytest.mark.parametrize("moment", KILLED_AT)
def test_killed_on_the_way_it_can_simply_be_run_again(
    thin_template: Path, copy: Path, tmp_path: Path, moment: str
) -> None:
    answers = tmp_path / "answers.yml"
    answers.write_text("capabilities: []\n", encoding="utf-8")  # quickly set up; git does the same for llm
    commit = prepared(copy, f"ANSWERS={answers}", **redirect(thin_template))
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    real = run("which", "git", cwd=tmp_path).stdout.strip()
    wrapper.write_text(f'#!/bin/sh\nGIT={real}\n{KILLED_AT[moment]}\nexec "$GIT" "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    env = environment(**redirect(thin_template))
    deadly = env | {"PATH": f"{wrapper.parent}:{env['PATH']}"}

    run("setsid", "--wait", "make", "init", cwd=copy, env=deadly, expect=None)
    assert (copy / ".git" / "new-project").exists()
    run("make", "init", cwd=copy, env=env)

    assert run("git", "diff", "--name-only", commit, "HEAD", cwd=copy).stdout == "uv.lock\n"
    assert run("git", "log", "--format=%s", cwd=copy).stdout.count("\n") == 2
    assert run("git", "status", "--porcelain", cwd=copy).stdout == ""


@pytest.fixture
def starter(template: Path, tmp_path: Path) -> Path:
    """Make what a user of a published starter clones."""
    clone, shop = tmp_path / "clone", tmp_path / "shop"
    run("git", "clone", "--quiet", template, clone, cwd=tmp_path)
    run("make", "starter", "DEST=../starter", cwd=clone, env=environment(**redirect(template)))
    run("git", "clone", "--quiet", tmp_path / "starter", shop, cwd=tmp_path)
    return shop


@pytest.mark.full
def test_a_personalised_starter_is_a_project_like_any_other(template: Path, starter: Path, tmp_path: Path) -> None:
    answers = {"project_name": "The Shop", "package_name": "shop", "user_name": "Ada"}
    data = [part for key, value in answers.items() for part in ("--data", f"{key}={value}")]
    update = ["uv", "tool", "run", "copier", "update", "--defaults"]
    env = environment(**redirect(template))
    run(*update, "--vcs-ref", ":current:", *data, "--data", "capabilities=[]", cwd=starter, env=env)

    fresh = render(template, tmp_path / "fresh", **answers, capabilities=[])
    left = {path.relative_to(starter): path for path in files(starter) if ".git" not in path.parts}
    assert {str(name): path.read_text("utf-8") for name, path in left.items()} == {
        str(path.relative_to(fresh)): path.read_text("utf-8") for path in files(fresh)
    }
    run("make", "init", cwd=starter, env=env)
    commit(starter)

    run(*update, cwd=starter, env=env)

    assert run("git", "status", "--porcelain", cwd=starter).stdout == ""
