"""A machine with git, make and a Python and nothing else; and one where something else is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import environment, render, run

CLOSED = "http://127.0.0.1:9/simple"  # the discard port: nobody listens


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a new user on a new machine: a Python with pip, no uv, an empty home."""
    tools = tmp_path / "bin"
    tools.mkdir()
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    for name in ("python3", python.name):
        (tools / name).symlink_to(python)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.com\n", encoding="utf-8")
    kept = {key: value for key, value in environment().items() if key.startswith(("PIP_", "SSL_"))}
    return {**kept, "HOME": str(home), "PATH": f"{tools}:/usr/bin:/bin", "UV_PYTHON_DOWNLOADS": "never"}


def test_the_tools_of_a_bare_machine_hold_no_uv(bare: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        subprocess.run(["uv", "--version"], env=bare, cwd=tmp_path, check=True)


@pytest.mark.full
def test_make_new_needs_nothing_but_git_make_and_a_python(template: Path, tmp_path: Path, bare: dict[str, str]) -> None:
    """The README's commands, typed by a newcomer."""
    clone = tmp_path / "ai-base-template"
    run("git", "clone", "--quiet", template, clone, cwd=tmp_path, env=bare)

    answers = tmp_path / "answers.yml"
    # What llm adds takes no other tools.
    answers.write_text("project_name: Zürich Triage\npackage_name: triage\ncapabilities: [notebooks]\n", "utf-8")
    output = run("make", "new", "DEST=../my app", "DEFAULTS=1", f"ANSWERS={answers}", cwd=clone, env=bare).stdout

    project = tmp_path / "my app"
    assert (project / "README.md").read_text("utf-8").startswith("# Zürich Triage\n")
    assert (project / "src" / "triage").is_dir()
    assert "Installing uv" in output
    assert "validate-branch: all passed" in output
    assert "Ready. Next: cd '../my app' && git add --all && git commit --message 'feat: start'" in output
    assert "export PATH" in output
    assert "uvx" in run(Path(bare["HOME"], ".local/bin/uvx"), "--version", cwd=clone, env=bare).stdout
    assert run("git", "status", "--porcelain", cwd=clone, env=bare).stdout == ""
    run("git", "add", "--all", cwd=project, env=bare)
    run("git", "commit", "--quiet", "--message", "feat: first commit", cwd=project, env=bare)
    run("make", "test-unit", cwd=project, env=bare)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Say where, such as: DEST=../my-app"),
        (["DEST=../taken"], "is not empty"),
        (["DEST=../my:app"], "Choose a folder without a colon"),
    ],
)
def test_make_new_refuses_before_it_writes(template: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", template, clone, cwd=tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine", encoding="utf-8")

    output = run("make", "new", "DEFAULTS=1", *arguments, cwd=clone, expect=2).stdout

    assert message in output
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("/bin/bash", "echo 'export PATH=\"$HOME/.local/bin:$PATH\"' >> ~/.bashrc && exec bash"),
        ("/usr/bin/zsh", "echo 'export PATH=\"$HOME/.local/bin:$PATH\"' >> ~/.zshrc && exec zsh"),
        ("/usr/bin/fish", "fish_add_path ~/.local/bin"),
    ],
)
def test_whoever_lacks_uv_on_the_path_is_told_how_to_mend_it(
    template: Path, tmp_path: Path, bare: dict[str, str], shell: str, line: str
) -> None:
    (tmp_path / "bin" / "python3").unlink()
    (tmp_path / "bin" / "python3").write_text("#!/bin/sh\n", encoding="utf-8")  # pip, which another test runs
    (tmp_path / "bin" / "python3").chmod(0o755)

    output = run("make", "install-uv", cwd=template, env=bare | {"SHELL": shell}).stdout
    on_the_path = bare | {"SHELL": shell, "PATH": f"{bare['HOME']}/.local/bin:{bare['PATH']}"}

    assert output.splitlines()[-1].strip() == line
    assert "To type uv" not in run("make", "install-uv", cwd=template, env=on_the_path).stdout


def test_without_the_network_init_says_which_step_needs_it(
    template: Path, tmp_path: Path, bare: dict[str, str]
) -> None:
    project = render(template, tmp_path / "my-app")
    no_network = bare | {"PIP_INDEX_URL": CLOSED, "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        no_network.pop(name, None)

    assert "install-uv: this step needs" in run("make", "init", cwd=project, env=no_network, expect=2).stdout

    with_uv = environment(UV_DEFAULT_INDEX=CLOSED, UV_CACHE_DIR=str(tmp_path / "cache"), UV_HTTP_RETRIES="0")
    output = run("make", "init", cwd=project, env=with_uv, expect=2).stdout
    assert "could not make uv.lock; this step needs the network" in output
    assert not (project / "uv.lock").exists()


def test_without_the_right_python_init_says_how_to_get_it(template: Path, tmp_path: Path) -> None:
    project = render(template, tmp_path / "my-app")
    (project / ".python-version").write_text("3.99\n", encoding="utf-8")

    output = run("make", "init", cwd=project, env=environment(UV_PYTHON_DOWNLOADS="never"), expect=2).stdout

    assert "no Python 3.99 on the PATH" in output
    assert "pyenv install 3.99" in output
    assert "write a newer one that you have into .python-version" in output
    assert not (project / ".venv").exists()
