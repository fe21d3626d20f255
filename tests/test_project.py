"""Work inside one default project: its commands, its hooks, and what each says when something is wrong."""

import http.server
import json
import re
import sqlite3
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest
from harness import FRESH, commit, environment, render, run

PACKAGE = "my_app"


def add(project: Path, name: str, text: str) -> Path:
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def snapshot(project: Path) -> dict[str, bytes]:
    """Read everything that is not a cache, in the way that git sees it, and what make init makes."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=project).stdout.split()
    return {name: (project / name).read_bytes() for name in [*listed, ".env", ".git/hooks/pre-commit"]}


# ---- make init ----


def test_init_makes_what_it_says_and_a_second_one_changes_nothing(project: Path) -> None:
    before = snapshot(project)
    (project / ".env").unlink()

    output = run("make", "init", cwd=project).stdout
    run("make", "environment-create", "KNOWN_GOOD=2020-01-01", cwd=project)

    assert before["uv.lock"]
    assert before[".env"] == before[".env.example"]
    assert snapshot(project) == before
    assert "Entering directory" not in output


def test_init_keeps_a_developers_own_settings(project: Path) -> None:
    mine = add(project, ".env", "LOG_LEVEL=DEBUG\n")

    run("make", "init", cwd=project)

    assert mine.read_text("utf-8") == "LOG_LEVEL=DEBUG\n"


@pytest.mark.skipif(bool(FRESH), reason="make freshness takes the newest versions instead")
def test_the_first_lock_takes_what_was_tested_and_later_ones_keep_it(project: Path) -> None:
    def newest_upload() -> str:
        lock = tomllib.loads((project / "uv.lock").read_text("utf-8"))
        uploads = [wheel["upload-time"] for package in lock["package"] for wheel in package.get("wheels", [])]
        return max(str(upload) for upload in uploads)[:10]

    known_good = re.search(r"^KNOWN_GOOD := (.+)$", (project / "Makefile").read_text("utf-8"), re.MULTILINE)
    newest = newest_upload()
    assert known_good
    assert newest <= known_good[1]  # that day is included
    assert 'exclude-newer-span = "P7D"' in (project / "uv.lock").read_text("utf-8")

    (project / "uv.lock").unlink()
    day_before = date.fromisoformat(newest) - timedelta(days=1)
    run("make", "first-lock", f"KNOWN_GOOD={day_before}", cwd=project)
    older = newest_upload()
    run("make", "sync", cwd=project)

    assert older < newest
    assert newest_upload() == older


def test_a_project_inside_another_repository_leaves_its_hooks_alone(project: Path, tmp_path: Path) -> None:
    run("git", "init", "--quiet", tmp_path, cwd=tmp_path)
    inner = tmp_path / "inner"
    run("git", "clone", "--quiet", project, inner, cwd=tmp_path)
    run("rm", "-rf", inner / ".git", cwd=tmp_path)

    output = run("make", "init", cwd=inner).stdout

    assert "Inside another repository" in output
    assert "GitHub ignores this folder's .github/" in output
    assert not (tmp_path / ".git/hooks/pre-commit").exists()
    assert not (inner / ".git").exists()


def test_a_global_folder_of_hooks_is_respected(project: Path, tmp_path: Path) -> None:
    (project / ".env").unlink()
    (tmp_path / "gitconfig").write_text(f"[core]\n\thooksPath = {tmp_path}/hooks\n", encoding="utf-8")

    output = run("make", "init", cwd=project, env=environment(GIT_CONFIG_GLOBAL=str(tmp_path / "gitconfig"))).stdout

    assert f"git runs the hooks of {tmp_path}/hooks, so this project's were not installed" in output
    assert (project / ".env").exists()
    assert not (tmp_path / "hooks").exists()


def test_a_worktree_commits_with_its_own_environment_and_leaves_the_first_one_its(
    project: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second"
    run("git", "worktree", "add", "--quiet", "-b", "second", second, cwd=project)
    try:
        run("make", "init", cwd=second)
        for folder in (second, project):
            add(folder, "notes.md", "Some notes.\n")
            run("git", "add", "notes.md", cwd=folder)
        assert "no merge markers" in run("git", "commit", "--message", "docs: notes", cwd=second).stdout
    finally:
        run("git", "worktree", "remove", "--force", second, cwd=project)
        run("git", "branch", "--quiet", "-D", "second", cwd=project)

    assert "no merge markers" in run("git", "commit", "--message", "docs: notes", cwd=project).stdout


def test_the_environment_may_lie_elsewhere(project: Path, tmp_path: Path) -> None:
    elsewhere = environment(UV_PROJECT_ENVIRONMENT=str(tmp_path / "environment"), PATH="/usr/bin:/bin")
    with_uv = environment(UV_PROJECT_ENVIRONMENT=str(tmp_path / "environment"))
    (project / ".venv").rename(tmp_path / "old")
    try:
        run("make", "init", cwd=project, env=with_uv)
        add(project, "notes.md", "Some notes.\n")
        run("git", "add", "notes.md", cwd=project)
        committed = run("git", "commit", "--message", "docs: notes", cwd=project, env=elsewhere).stdout
        assert not (project / ".venv").exists()
    finally:
        (tmp_path / "old").rename(project / ".venv")
        run("make", "init", cwd=project)

    assert "no API keys" in committed


def test_a_project_that_was_moved_is_healed(project: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    project.rename(moved)
    try:
        run("make", "init", cwd=moved)
        run("make", "test-unit", cwd=moved)
    finally:
        moved.rename(project)
        run("make", "init", cwd=project)


def test_a_symbolic_link_to_a_project_is_no_other_repository(project: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(project)

    assert "Inside another repository" not in run("make", "init", cwd=tmp_path / "link").stdout


def test_the_locked_uv_comes_first(project: Path, tmp_path: Path) -> None:
    add(tmp_path, ".local/bin/uv", "#!/bin/sh\necho FAKE\n").chmod(0o755)

    output = run("make", "lock-check", cwd=project, env=environment(HOME=str(tmp_path))).stdout

    assert "FAKE" not in output


def test_an_old_uv_is_replaced(project: Path, tmp_path: Path) -> None:
    """It would read neither the lock nor the cool-down."""
    add(tmp_path, "old/uv", "#!/bin/sh\necho uv 0.8.0\n").chmod(0o755)
    add(tmp_path, "old/python3", '#!/bin/sh\necho "asked for pip: $@"; exit 1\n').chmod(0o755)
    run("make", "clean-env", cwd=project)
    settings = environment(HOME=str(tmp_path))
    settings["PATH"] = f"{tmp_path / 'old'}:{settings['PATH']}"

    output = run("make", "init", cwd=project, env=settings, expect=2).stdout
    run("make", "init", cwd=project)

    assert "asked for pip: -m pip install" in output


# ---- make validate-branch: the right step fails, and nothing is rewritten ----

STEPS = ["lock-check", "format-check", "lint", "type-check", "test"]
UNTESTED = "\n\n".join(f"def one{n}(a: int) -> int:\n{'    a += 1\n' * 40}    return a\n" for n in range(60))
SLOT = "\n\n__all__"
# What is wrong, by the step that must stop at it: a file, its text, and what the step says. (A text in two parts: it
# replaces the first part of the file's own.)
DEFECTS: dict[str, list[tuple[str, str | tuple[str, str], str]]] = {
    "lock-check": [
        ("pyproject.toml", ('"typer>=0.29",', '"typer>=0.29",\n  "tomli-w",'), "lock-check: 'make sync' mends this"),
    ],
    "format-check": [(f"src/{PACKAGE}/extra.py", '"""Extra."""\n\nx = { "a":1 }\n', '-x = { "a":1 }')],
    "lint, layers": [
        (
            f"src/{PACKAGE}/settings.py",
            (SLOT, f"\n\nfrom .triage import Triage\n\nKIND = Triage{SLOT}"),
            "my_app.settings is not allowed to import my_app.triage",
        ),
    ],
    "lint": [("tests/unit/test_extra.py", "import os\n", "F401")],
    "lint, notebooks": [
        ("notebooks/replies.ipynb", ('"execution_count": null', '"execution_count": 1'), "replies.ipynb"),
    ],
    "type-check": [
        (f"src/{PACKAGE}/extra.py", '"""Extra."""\n\nx: int = "a"\n', "extra.py:3: error: Incompatible types"),
        ("tests/unit/test_extra.py", 'x: int = "a"\n', "test_extra.py:1: error: Incompatible types"),
        (
            "tests/unit/untyped.py",
            "def helper(a):  # noqa: ANN001, ANN201\n    return a\n",
            "missing a type annotation",
        ),
        (
            "tests/unit/unreached.py",
            "def helper(a: int) -> int:\n    if isinstance(a, str):\n        return 1\n    return a\n",
            "unreachable",
        ),
        (
            "tests/unit/misspelt.py",
            f"from {PACKAGE}.settings import Settings\n\nSettings(log_levl=1)\n",
            'Unexpected keyword argument "log_levl"',
        ),
    ],
    "test": [
        (
            "tests/unit/test_one.py",
            "def test_fails() -> None:\n    assert [] == [1]\n",
            "FAILED tests/unit/test_one.py",
        ),
        (
            "tests/unit/test_two.py",
            'import warnings\n\n\ndef test_warns() -> None:\n    warnings.warn("old", UserWarning, stacklevel=1)\n',
            "FAILED tests/unit/test_two.py",
        ),
        (
            "tests/unit/test_three.py",
            'import pytest\n\n\n@pytest.mark.xfail(reason="broken")\ndef test_works() -> None:\n    pass\n',
            "XPASS(strict)",
        ),
    ],
    "test, coverage": [
        (
            f"src/{PACKAGE}/extra.py",
            '"""Extra."""\n\n\n' + re.sub(r"(def .*:\n)", r'\1    """Add."""\n', UNTESTED),
            "Required test coverage of 80.0% not reached",
        ),
    ],
    "test, markers": [
        (
            "tests/unit/test_extra.py",
            "import pytest\n\n\n@pytest.mark.untit\ndef test_marked() -> None:\n    pass\n",
            "'untit' not found in `markers` configuration option",
        ),
    ],
    "test, folders": [
        ("Makefile", ("tests/unit tests/functional,", "tests,"), ""),
        (
            "tests/test_extra.py",
            "def test_lost() -> None:\n    assert {} == {}\n",
            "a test belongs in one of tests/unit",
        ),
    ],
}


@pytest.mark.parametrize("group", DEFECTS)
def test_defects_stop_exactly_their_step(project: Path, group: str) -> None:
    written = {}
    for name, text, _ in DEFECTS[group]:
        own = (project / name).read_text("utf-8") if (project / name).exists() else ""
        written[name] = text if isinstance(text, str) else own.replace(*text, 1)
        assert written[name] != own
        add(project, name, written[name])

    output = run("make", "--keep-going", "validate-branch", cwd=project, expect=2).stdout

    step = group.partition(",")[0]
    failed = re.findall(r"\*\*\* \[Makefile:\d+: ([a-z-]+)\] Error", output)
    # With a stale lock every later step refuses as well.
    assert failed == (STEPS if step == "lock-check" else [step])
    assert [said for _, _, said in DEFECTS[group] if said not in output] == []
    assert "all passed" not in output
    assert {name: (project / name).read_text("utf-8") for name in written} == written


def test_a_new_module_needs_no_entry_among_the_layers(project: Path) -> None:
    add(project, f"src/{PACKAGE}/extra.py", '"""Extra."""\n\nfrom .settings import Settings\n\nKIND = Settings\n')

    assert "0 broken." in run("make", "lint", cwd=project).stdout


def test_the_first_step_that_fails_stops_the_validation(project: Path) -> None:
    add(project, "tests/unit/test_extra.py", 'x = { "a":1 }\nimport os\n')

    output = run("make", "validate-branch", cwd=project, expect=2).stdout

    assert "format-check: 'make format' mends this" in output
    assert '-x = { "a":1 }' in output
    assert re.findall(r"\*\*\* \[Makefile:\d+: ([a-z-]+)\]", output) == ["format-check"]
    assert "Success: no issues" not in output


def test_format_mends_what_can_be_mended(project: Path) -> None:
    path = add(project, "tests/unit/test_extra.py", "import os\nimport json\nx = { 'a':json }\n")

    run("make", "format", cwd=project)

    assert path.read_text("utf-8") == 'import json\n\nx = {"a": json}\n'
    run("make", "format-check", "lint", cwd=project)


def test_validation_is_safe_with_parallel_jobs_and_rewrites_nothing(project: Path) -> None:
    before = snapshot(project)

    output = run("make", "-j2", "validate-branch", cwd=project).stdout

    assert output.index("0 broken.") < output.index("Success: no issues") < output.index("test session")
    assert "validate-branch: all passed" in output
    assert re.search(r"Stmts +Miss +Branch", output)
    assert snapshot(project) == before


# ---- Tests by folder ----


@pytest.mark.parametrize(("target", "folder"), [("test-unit", "unit"), ("test-functional", "functional")])
def test_a_category_runs_exactly_its_tests(project: Path, target: str, folder: str) -> None:
    for name in ("unit", "functional", "integration"):
        add(project, f"tests/{name}/test_only.py", f"def test_in_{name}() -> None:\n    assert True\n")

    output = run("make", target, cwd=project).stdout

    assert set(re.findall(r"tests/(\w+)/", output)) == {folder}
    selected = run(".venv/bin/pytest", "-q", "--collect-only", "-m", folder, cwd=project).stdout
    assert set(re.findall(r"tests/(\w+)/", selected)) == {folder}


def test_test_all_runs_every_folder_with_coverage(project: Path) -> None:
    output = run("make", "test-all", cwd=project).stdout

    assert set(re.findall(r"^tests/(\w+)/", output, re.MULTILINE)) == {"unit", "functional", "integration"}
    assert "Required test coverage of 80.0% reached" in output
    assert "LLM_BASE_URL and LLM_MODEL are not set in .env" in output


@pytest.mark.parametrize("empty", ["no tests", "no folder"])
def test_an_empty_category_passes_with_a_sentence(project: Path, empty: str) -> None:
    run("rm", "-rf", "tests/integration", "tests/unit", cwd=project)
    if empty == "no tests":
        add(project, "tests/unit/helper.py", "")
        add(project, "tests/integration/helper.py", "")

    assert "No tests yet in: tests/unit" in run("make", "test-unit", cwd=project).stdout
    assert "No tests yet in: tests/integration" in run("make", "test-integration", cwd=project).stdout


def test_the_network_fails_a_unit_test(project: Path) -> None:
    """The library's own tests hold what its plugin sees; here, that a project has it."""
    add(
        project,
        "tests/unit/test_network.py",
        "import contextlib\nimport socket\n\n\ndef test_it() -> None:\n"
        "    with contextlib.suppress(Exception):\n        socket.socket().close()\n",
    )

    output = run("make", "test-unit", cwd=project, expect=2).stdout

    assert "a unit test reached for a socket" in output


def test_tests_mean_the_same_whatever_the_developer_has_set(whole_project: Path) -> None:
    add(whole_project, ".env", "LOG_LEVEL=loud\nLLM_CONFIG=mine\nLLM__RETRY__ATTEMPTS=many\n")

    odd = environment(LOG_FORMAT="nonsense", LLM__RETRY__DEADLINE="never")
    run(".venv/bin/pytest", "tests/unit", "tests/functional", cwd=whole_project, env=odd)


# ---- The base's integration test, against a real server ----


@pytest.fixture(scope="module")
def base_project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project without any capability."""
    project = render(template, tmp_path_factory.mktemp("base") / "my-app", capabilities=[])
    run("make", "init", cwd=project)
    return project


@pytest.fixture
def model_server() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """Speak the chat-completions protocol on loopback, and remember what was asked."""
    asked: list[dict[str, object]] = []
    reply = "Of course:\n```json\n{'category': 'bug', 'urgency': 4, 'summary': 'Crash', 'confidence': 0.9,}\n```"

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append({"path": self.path, "authorization": self.headers["Authorization"], "body": body})
            answer = json.dumps({"choices": [{"message": {"role": "assistant", "content": reply}}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", asked
    server.shutdown()
    server.server_close()


def test_the_integration_test_is_skipped_with_the_reason(base_project: Path) -> None:
    run("cp", ".env.example", ".env", cwd=base_project)

    output = run("make", "test-integration", cwd=base_project).stdout

    assert "1 skipped" in output
    assert "LLM_BASE_URL and LLM_MODEL are not set in .env" in output


def test_the_integration_test_talks_to_the_endpoint_in_env(
    base_project: Path, model_server: tuple[str, list[dict[str, object]]]
) -> None:
    url, asked = model_server
    add(base_project, ".env", f"LLM_BASE_URL={url}\nLLM_MODEL=small\nLLM_API_KEY=hush\n")

    assert "1 passed" in run("make", "test-integration", cwd=base_project).stdout
    assert [(one["path"], one["authorization"]) for one in asked] == [("/v1/chat/completions", "Bearer hush")]
    assert "1 skipped" not in run("make", "test-all", cwd=base_project).stdout


# ---- The example ----


def test_the_readmes_commands_print_what_the_readme_says(whole_project: Path) -> None:
    readme = (whole_project / "README.md").read_text("utf-8")
    commands = re.findall(r"^\$ ((?:.*\\\n)*.*)$", readme, re.MULTILINE)

    printed = [run("sh", "-c", f"{command} 2>/dev/null", cwd=whole_project).stdout for command in commands]

    assert [json.loads(text)["category"] for text in printed] == ["other", "bug"]  # offline, and parsed


KEPT_AFTER_REMOVAL = {"__init__.py", "__main__.py", "cli.py", "py.typed", "settings.py"}


def check_removal(project: Path, *expected: str) -> None:
    run("make", "remove-example", cwd=project)

    assert {path.name for path in (project / "src" / PACKAGE).iterdir() if path.is_file()} == KEPT_AFTER_REMOVAL
    left = {path.name for path in (project / "tests").rglob("test_*.py")}
    assert left == {"test_settings.py", "test_cli.py", *expected}
    assert "validate-branch: all passed" in run("make", "validate-branch", cwd=project).stdout
    assert "triage" not in run(f".venv/bin/{PACKAGE}", "--help", cwd=project).stdout


@pytest.mark.full
def test_without_the_example_a_project_validates(whole_project: Path) -> None:
    check_removal(whole_project, "test_promises.py", "test_notebooks.py")

    commit(whole_project)


@pytest.mark.full
def test_without_the_example_a_project_without_capabilities_validates(base_project: Path) -> None:
    commit(base_project)
    try:
        check_removal(base_project)
    finally:
        run("git", "reset", "--quiet", "--hard", cwd=base_project)


def test_the_example_is_removed_only_where_that_can_be_undone(project: Path) -> None:
    add(project, f"src/{PACKAGE}/triage.py", '"""Mine."""\n')

    assert "commit or stash your changes first" in run("make", "remove-example", cwd=project, expect=2).stdout
    assert (project / f"src/{PACKAGE}/triage.py").read_text("utf-8") == '"""Mine."""\n'


def test_without_notebooks_lint_and_tests_pass(project: Path) -> None:
    (project / "notebooks/replies.ipynb").unlink()
    (project / "notebooks").rmdir()

    run("make", "lint", cwd=project)
    assert "skipped" in run(".venv/bin/pytest", "-rs", "tests/functional/test_notebooks.py", cwd=project).stdout


# ---- Hooks: a real `git commit` ----

# Put together here, so that no scanner takes this file for a leak.
AWS_KEY = "AKIA" + "IOSFODNN7EXAMPL3"
REFUSED = {
    "a type error": (f"src/{PACKAGE}/triage.py", 'x: int = "a"\n', "types"),
    "bad format": ("tests/unit/test_extra.py", "x = { 'a':1 }\n", "format"),
    "a lint finding": ("tests/unit/test_extra.py", "import os\n", "lint"),
    "a stale lock": ("pyproject.toml", '\n[dependency-groups.extra]\nextra = ["tomli-w"]\n', "uv.lock matches"),
    "broken YAML": ("extra.yml", "a: [\n", "YAML is valid"),
    "broken TOML": ("extra.toml", "a = \n", "TOML is valid"),
    "a large file": ("extra.bin", "x" * 600_000, "no file over 500 kB"),
    "merge markers": ("notes.md", "<<<<<<< before updating\na\n=======\nb\n>>>>>>> after updating\n", "merge markers"),
    "a rejected hunk": ("Makefile.rej", "@@ -1 +1 @@\n", ".rej files"),
    "a private key": ("notes.md", "-----BEGIN " + "RSA PRIVATE KEY-----\n", "private keys"),
    "an API key": ("notes.md", f"key = {AWS_KEY}\n", "API keys"),
    "a model provider's key": ("notes.md", "sk-" + "proj-abcdefghijklmnop1qrstuvwx\n", "API keys"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_commit_is_refused(project: Path, case: str) -> None:
    name, text, hook = REFUSED[case]
    path = project / name
    add(project, name, (path.read_text("utf-8") if path.exists() else "") + text)
    run("git", "add", "--all", "--force", name, cwd=project)

    output = run("git", "commit", "--message", "feat: extra", cwd=project, expect=1).stdout

    assert re.search(rf"{re.escape(hook)}.*Failed", output), output


def test_a_large_lock_and_an_ugly_notebook_at_commit(project: Path) -> None:
    padded = (project / "uv.lock").read_text("utf-8") + "\n" + "# padding\n" * 60_000
    add(project, "uv.lock", padded)
    notebook = (project / "notebooks/replies.ipynb").read_text("utf-8")
    add(project, "notebooks/replies.ipynb", notebook.replace("parse_reply(text, Triage)", "parse_reply( text,Triage )"))
    run("git", "add", "--all", cwd=project)

    output = run("git", "commit", "--message", "feat: extra", cwd=project, expect=1).stdout

    assert re.search(r"uv.lock matches pyproject.toml\.+(Passed|Failed)", output)
    assert re.search(r"format\.+Failed", output)
    assert re.search(r"no file over 500 kB\.+Passed", output)


def test_a_commit_of_a_notebook_leaves_its_outputs_behind(project: Path) -> None:
    path = project / "notebooks" / "replies.ipynb"
    notebook = json.loads(path.read_text("utf-8"))
    clean = path.read_text("utf-8")
    notebook["cells"][1] |= {
        "execution_count": 1,
        "outputs": [{"name": "stdout", "output_type": "stream", "text": "x"}],
    }
    path.write_text(json.dumps(notebook), encoding="utf-8")
    run("git", "add", "--all", cwd=project)

    output = run("git", "commit", "--message", "feat: extra", cwd=project, expect=1).stdout

    assert re.search("notebooks hold no outputs.*Failed", output)
    assert path.read_text("utf-8") == clean


def test_a_commit_needs_no_uv_on_the_path_and_a_markdown_one_is_quick(project: Path) -> None:
    add(project, "notes.md", "Some notes.\n")
    run("git", "add", "--all", cwd=project)
    bare = environment(PATH="/usr/bin:/bin")

    started = time.monotonic()
    output = run("git", "commit", "--message", "docs: notes", cwd=project, env=bare).stdout
    elapsed = time.monotonic() - started

    ran = re.findall(r"^(.+?)\.+Passed$", output, re.MULTILINE)
    assert ran == ["no file over 500 kB", "no merge markers", "no private keys", "no API keys"]
    print(f"hooks of a Markdown commit: {elapsed:.2f} s")  # noqa: T201 - measured, not judged: see benchmarks/


# ---- What is tracked ----


def test_no_folder_of_source_is_hidden_from_git(project: Path) -> None:
    for folder in ("models", "data", "lib", "build", "output", "results", "env", "dist", "logs", "tmp"):
        add(project, f"src/{PACKAGE}/{folder}/module.py", "")

    listed = run("git", "status", "--porcelain", "--untracked-files=all", cwd=project).stdout

    assert len(re.findall(rf"src/{PACKAGE}/\w+/module.py", listed)) == 10


@pytest.mark.parametrize(
    "name",
    [
        *(
            ".env",
            ".env.local",
            ".venv/x",
            "dist/x",
            ".coverage",
            ".coverage.host.1",
            "htmlcov/x",
            ".import_linter_cache/x",
        ),
        *("a/__pycache__/x.pyc", "notebooks/.ipynb_checkpoints/x", "src/.DS_Store"),
        *("ledger.db", "ledger.db-wal", "weekend.svg"),
    ],
)
def test_what_is_made_or_secret_is_not_tracked(whole_project: Path, name: str) -> None:
    run("git", "check-ignore", "--quiet", name, cwd=whole_project)
    run("git", "check-ignore", "--quiet", ".env.example", cwd=whole_project, expect=1)


@pytest.mark.full
def test_a_wheel_finds_its_configuration_from_any_folder(whole_project: Path, tmp_path: Path) -> None:
    for folder in (whole_project, whole_project / "toolkit"):
        run(whole_project / ".venv/bin/uv", "build", "--quiet", "--wheel", "--out-dir", tmp_path / "dist", cwd=folder)
    wheel = next((tmp_path / "dist").glob("my_app-0.1.0-*.whl"))
    listed = run("python3", "-m", "zipfile", "--list", wheel, cwd=tmp_path).stdout
    assert {f"{PACKAGE}/py.typed", f"{PACKAGE}/config/llm.toml", f"{PACKAGE}/config/prompts/triage.md"} <= {
        line.split()[0] for line in listed.splitlines()
    }
    assert "licenses/LICENSE" in listed
    uv, elsewhere = whole_project / ".venv/bin/uv", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(uv, "venv", "--quiet", "--python", whole_project / ".venv/bin/python", tmp_path / "venv", cwd=tmp_path)
    install: list[str | Path] = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        tmp_path / "venv",
        "--find-links",
        tmp_path / "dist",
        wheel,
    ]
    run(*install, cwd=tmp_path)

    printed = run("sh", "-c", f"echo It crashes. | {tmp_path}/venv/bin/{PACKAGE} triage - 2>/dev/null", cwd=elsewhere)
    assert "category" in json.loads(printed.stdout)
    assert run(tmp_path / "venv/bin/python", "-m", PACKAGE, "--version", cwd=elsewhere).stdout.strip() == "0.1.0"


def test_a_notebook_shares_the_ledger_with_the_command_line(whole_project: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ours.db"
    add(whole_project, ".env", f"DATABASE_URL=sqlite:///{ledger}\n")
    asked = (
        "import asyncio\nfrom ai_base.llm import Gateway\nfrom my_app.tickets import triage_ticket\n"
        "async def ask():\n    async with Gateway.open() as gateway:\n"
        "        await triage_ticket(gateway, 'From a notebook.')\nasyncio.run(ask())\n"
    )

    run("sh", "-c", f"echo From the command line. | .venv/bin/{PACKAGE} triage -", cwd=whole_project)
    run("../.venv/bin/python", "-c", asked, cwd=whole_project / "notebooks")

    with closing(sqlite3.connect(ledger)) as connection:
        assert connection.execute("SELECT count(*) FROM interactions").fetchone() == (2,)
    assert not (whole_project / "notebooks/ledger.db").exists()


# ---- Housekeeping ----


def test_clean_removes_caches_and_clean_env_the_environment(project: Path) -> None:
    run("make", "test-unit", "lint", "type-check", cwd=project)
    add(project, "dist/x", "")
    assert (project / ".pytest_cache").exists()
    assert list((project / "tests").rglob("__pycache__"))

    run("make", "clean", cwd=project)
    left = {path.name for path in project.iterdir()}
    assert not list((project / "tests").rglob("__pycache__"))
    assert not left & {"dist", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".import_linter_cache", ".coverage"}
    assert ".venv" in left

    run("make", "clean-env", cwd=project)
    assert not (project / ".venv").exists()
    run("make", "init", cwd=project)


def test_upgrade_replaces_even_the_uv_that_runs_it(project: Path) -> None:
    run(".venv/bin/uv", "lock", "--upgrade-package", "uv==0.13.0", cwd=project)
    run("make", "sync", cwd=project)
    assert "0.13.0" in run(".venv/bin/uv", "--version", cwd=project).stdout

    run("make", "upgrade", cwd=project)

    assert "0.13.0" not in run(".venv/bin/uv", "--version", cwd=project).stdout
    run("make", "lock-check", cwd=project)


def test_sync_without_the_network_says_so(project: Path) -> None:
    text = (project / "pyproject.toml").read_text("utf-8")
    add(project, "pyproject.toml", text.replace('"typer>=0.29",', '"typer>=0.29",\n  "no-such-package-of-ours",'))
    offline = environment(UV_DEFAULT_INDEX="http://127.0.0.1:9/simple", UV_HTTP_RETRIES="0")

    assert "sync: could not lock." in run("make", "sync", cwd=project, env=offline, expect=2).stdout
    assert "lock-check: 'make sync' mends this" in run("make", "lock-check", cwd=project, env=offline, expect=2).stdout


def test_the_notebooks_open_in_the_locked_jupyterlab(project: Path) -> None:
    command = run("make", "--dry-run", "notebook", cwd=project).stdout.strip()

    assert command.endswith("run --locked --group notebook jupyter lab notebooks")
    assert "JupyterLab" in run("sh", "-c", f"{command} --help", cwd=project).stdout


def test_an_update_with_uncommitted_work_is_refused(project: Path) -> None:
    add(project, "notes.md", "mine\n")

    assert "commit or stash your changes first" in run("make", "template-update", cwd=project, expect=2).stdout
    assert (project / "notes.md").exists()
