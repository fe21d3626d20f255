"""Records docs/walk.md: the ways in and on, typed for real; with --check, tells whether it still holds.

What differs from run to run (folders, hashes, times, downloads) is written the same each time.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
WALK = ROOT / "docs" / "walk.md"
sys.path.insert(0, str(ROOT / "tests"))

from harness import environment, redirect, upstream  # noqa: E402

# A line that begins with $ is typed, the others are text. `<repo>` stands for the public repository.
SCRIPT = """\
## Way 1: from a clone

$ git clone <repo> ai-base-template && cd ai-base-template
$ make new DEST=../my-app DEFAULTS=1
$ cd ../my-app && git add --all && git commit --quiet --message "feat: start" && git status --short

## Way 2: "Use this template"

GitHub has made a repository with the files of the template in one commit; here it is cloned.

$ cd ../my-shop && git log --format=%s
$ make init DEFAULTS=1
$ git log --format=%s && ls
$ git status --short && make test-unit

## An update, with work of one's own in the project

$ cd ../my-app && printf '# My app\\n\\nAll mine.\\n' > README.md
$ printf '\\n.PHONY: deploy\\ndeploy: ## Deploy\\n\\t@echo deployed\\n' >> Makefile && rm .editorconfig
$ git add --all && git commit --quiet --message "feat: mine" && git status --short
$ make template-check
$ make template-update
$ git status --short && head -1 README.md && make deploy
$ git add --all && git commit --quiet --message "chore: update the template"

## A conflict

The same line was changed here and in the template.

$ cd ../my-shop && sed 's/List the commands/List my commands/' Makefile > new && mv new Makefile
$ git commit --quiet --all --message "feat: my help" && make template-update
$ git diff --diff-filter=U Makefile
$ git commit --all --message "chore: update"
"""
NOISE = [
    (r"/[^ '\"]*/(?=(ai-base-template|my-app|my-shop)\b)", ".../"),
    (r"(?<=in )\d+\.\d+s|\d+(\.\d+)?m?s\b", "0.1s"),
    (r"^=+ test session starts =+\n(?:.*\n)*?=+ \d+ passed", "=== the tests: all passed"),
    (r"=== the tests: all passed.*$", "=== the tests: all passed ==="),
    (r"^(Checked|warning:) .*\n", ""),
    (r"^ *[-+~] .*==.*\n|^(Downloading|Downloaded|Building|Built|Prepared|Installed|Using|Creating|Resolv).*\n", ""),
    (r"^ *(Downloading|Downloaded|Building|Built) .*\n", ""),
    (r"\b[0-9a-f]{7,40}\b", "0000000"),
    (r"\x1b\[[0-9;]*m", ""),
    (r"^index .*\n", ""),
]


def normalize(text: str) -> str:
    """Replace what differs from run to run."""
    for pattern, replacement in NOISE:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text.rstrip()


def type_command(command: str, folder: Path, env: dict[str, str]) -> tuple[str, Path]:
    """Type one command; return what it printed, and the working directory after it."""
    script = f'cd "{folder}"; {command.replace("<repo>", str(env["TEMPLATE"]))}; code=$?; pwd > "$HERE"; exit $code'
    command_line = ["bash", "-c", script]
    result = subprocess.run(command_line, env=env, stdout=-1, stderr=-2, stdin=-3, text=True, check=False, timeout=600)
    printed = normalize(result.stdout) + (f"\n[exit code {result.returncode}]" if result.returncode else "")
    return printed.strip(), Path(Path(env["HERE"]).read_text("utf-8").strip())


def set_up(folder: Path) -> dict[str, str]:
    """Set up the template's repository and the copy that GitHub would make; return the environment to type in."""
    template = upstream(folder / "template")
    (template / "CHANGELOG.md").write_text(
        "# Changelog\n\n## Unreleased\n\n## 1.0.0 (2026-01-01)\n\n- First.\n", "utf-8"
    )
    env = environment(
        **redirect(template), TEMPLATE=str(template), HERE=str(folder / "here"), COPIER_CACHE_DIR=str(folder / "cache")
    )

    def git(*arguments: str, cwd: Path) -> None:
        subprocess.run(["git", *arguments], cwd=cwd, env=env, check=True, capture_output=True)

    git("commit", "--all", "--amend", "--no-edit", cwd=template)
    git("tag", "--force", "v1.0.0", cwd=template)
    copy = folder / "walk" / "my-shop"
    copy.parent.mkdir()
    git("clone", str(template), str(copy), cwd=folder)
    subprocess.run(["rm", "-rf", str(copy / ".git")], check=True)
    git("init", "--initial-branch=main", cwd=copy)
    git("add", "--all", "--force", cwd=copy)
    git("commit", "--message", "Initial commit", cwd=copy)
    return env


def release_another(template: Path, env: dict[str, str]) -> None:
    """Publish a next version: a help line and a rule for agents change, and the changelog says so."""
    makefile, agents, changelog = (
        template / name for name in ("template/Makefile.jinja", "template/AGENTS.md.jinja", "CHANGELOG.md")
    )
    makefile.write_text(makefile.read_text("utf-8").replace("List the commands", "List all the commands"), "utf-8")
    agents.write_text(agents.read_text("utf-8") + "- Be brief.\n", "utf-8")
    text = re.sub(
        r"^## Unreleased\n",
        '## Unreleased\n\n## 2.0.0 (2027-01-01)\n\n- `make` says "all".\n',
        changelog.read_text("utf-8"),
        count=1,
        flags=re.MULTILINE,
    )
    changelog.write_text(text, "utf-8")
    for arguments in (["commit", "--quiet", "--all", "--message", "release: v2.0.0"], ["tag", "v2.0.0"]):
        subprocess.run(["git", *arguments], cwd=template, env=env, check=True)


def record() -> str:
    """Walk the whole way and return the document."""
    lines = [
        "# A walk: the ways in, and the way on",
        "",
        "Recorded by `scripts/record_walk.py`, which a test runs again.",
        "",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = set_up(folder)
        here = folder / "walk"
        for line in SCRIPT.splitlines():
            if line.startswith("## An update"):
                release_another(Path(env["TEMPLATE"]), env)
            if not line.startswith("$ "):
                lines.append(line)
                continue
            printed, here = type_command(line.removeprefix("$ "), here, env)
            lines += ["```console", line, *printed.splitlines(), "```", ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).replace("```\n\n```console\n", "").rstrip() + "\n"


def main() -> int:
    """Write the walk, or compare it with the one that is there; return the exit code."""
    walk = record()
    if "--check" in sys.argv:
        sys.stdout.write("" if walk == WALK.read_text("utf-8") else walk)
        return int(walk != WALK.read_text("utf-8"))
    WALK.write_text(walk, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
