"""The commit hook finds the keys that the scrubber hides, says where, and does not repeat them."""

import subprocess
import sys
from pathlib import Path

import pytest

from ai_base.text.find_keys import find_keys, main
from ai_base.text.scrub import scrub
from ai_base.text.scrubbing.secret_patterns import KEY_RULES

STRIPE = "sk_" + "test_" + "4eC39HqLyjWDarjtT1zdp7dc"  # put together here, so that no scanner finds it
PEM = "-----BEGIN {0}-----\nMIIEpAIB\n-----END {0}-----\n".format("RSA PRIVATE" + " KEY")


def test_a_key_is_reported_by_file_and_line_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "settings.py"
    file.write_text(f"a = 1\nkey = '{STRIPE}'\n{PEM}", encoding="utf-8")

    code = main([str(file)])

    assert code == 1
    assert capsys.readouterr().out == f"{file}:2: Stripe\n{file}:3: PEM or PGP private key\n"


def test_the_module_is_a_command(tmp_path: Path) -> None:
    (tmp_path / "clean.txt").write_text("nothing\n", encoding="utf-8")
    (tmp_path / "dirty.txt").write_text(STRIPE, encoding="utf-8")
    command = [sys.executable, "-m", "ai_base.text.find_keys"]

    clean, dirty = (
        subprocess.run([*command, *files], cwd=tmp_path, capture_output=True, text=True, check=False)
        for files in (["clean.txt"], ["clean.txt", "dirty.txt"])
    )

    assert (clean.returncode, clean.stdout) == (0, "")
    assert (dirty.returncode, dirty.stdout) == (1, "dirty.txt:1: Stripe\n")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "gone.txt")]) == 2
    assert "gone.txt: No such file" in capsys.readouterr().err


def test_a_binary_file_is_skipped_and_wrong_encoding_is_read(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"\x89PNG\0" + STRIPE.encode())
    (tmp_path / "latin.txt").write_bytes(b"\xe9 " + STRIPE.encode())

    assert main([str(tmp_path / "image.png")]) == 0
    assert main([str(tmp_path / "latin.txt")]) == 1


def test_a_line_can_be_allowed() -> None:
    text = f"{STRIPE}  # pragma: allowlist secret\n{STRIPE}\n"

    assert list(find_keys(text)) == [(2, "Stripe")]


@pytest.mark.parametrize(
    "prose",
    [
        "a task-management-system-overview",
        "sk-learn-compatible-estimators-and-pipelines",
        "password=hunter2 postgresql://user:password@localhost/db Bearer abcDEF123456",
        "npm_config_registry=https://registry.example.com",
        "pypi-publish-workflow-for-trusted-publishers-and-friends",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_prose_and_examples_are_no_keys(prose: str) -> None:
    assert list(find_keys(prose)) == []


def test_every_key_that_the_hook_finds_is_hidden_by_the_scrubber(leaks: list[tuple[str, list[str]]]) -> None:
    found = [line for line, _ in leaks if list(find_keys(line))]

    assert len(found) > 70
    assert [line for line in found if list(find_keys(scrub(line)))] == []


def test_the_corpus_has_a_key_of_every_kind(leaks: list[tuple[str, list[str]]]) -> None:
    seen = {kind for line, _ in leaks for _, kind in find_keys(line)}
    names = {rule.name for rule in KEY_RULES}

    assert names - seen == set()
