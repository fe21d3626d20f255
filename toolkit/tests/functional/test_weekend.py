"""The demonstration measures: the bug alone runs past the cap, behind the gateway it cannot, and the books balance."""

import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from ai_base.demo import weekend

CAP = Decimal(50)


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ai_base.demo.weekend", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def numbers(table: str, row: str) -> tuple[Decimal, Decimal]:
    """Return what a row says of the naive caller and of the one behind the gateway."""
    line = next(line for line in table.splitlines() if line.startswith(row))
    naive, gateway = re.findall(r"\$?([\d,]+(?:\.\d+)?)", line.removeprefix(row))
    return Decimal(naive.replace(",", "")), Decimal(gateway.replace(",", ""))


def test_the_first_hours_of_the_weekend(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LLM__BUDGETS__COST_CENTERS__BATCH__DAY=0\n", encoding="utf-8")  # the project's own

    result = run(tmp_path, "--seconds", "2", "--out", "spend.png")

    assert result.returncode == 0, result.stderr
    assert "6 hours in 2 s" in result.stdout
    bill, guarded_bill = numbers(result.stdout, "the provider's bill")
    requests, guarded_requests = numbers(result.stdout, "requests that were billed")
    recorded, ledger = numbers(result.stdout, "the caller's own record; the ledger")
    # 8,000 tokens at $30 and 100 at $60 per million, and one request stands for sixty.
    assert bill == requests * 60 * Decimal("0.246") > CAP
    assert 0 < guarded_bill == guarded_requests * 60 * Decimal("0.246") <= CAP
    assert (recorded, ledger) == (bill, guarded_bill)
    assert numbers(result.stdout, "requests that were refused before they were sent")[1] > 10
    assert "The ledger equals the provider's bill." in result.stdout
    assert "Fri 2" in result.stderr, "progress, a line for each tenth"
    assert (tmp_path / "spend.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_tells_the_numbers_without_a_picture(tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError('matplotlib')", encoding="utf-8")

    result = run(tmp_path, "--seconds", "0.5")

    assert result.returncode == 0, result.stderr
    assert "the provider's bill" in result.stdout
    assert "No picture: matplotlib is not installed." in result.stdout
    assert not (tmp_path / "weekend.png").exists()


@pytest.mark.parametrize("seconds", ["0", "21"])
def test_never_runs_longer_than_a_weekend(
    seconds: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["weekend", "--seconds", seconds])

    with pytest.raises(SystemExit, match="2"):
        weekend.main()

    assert "--seconds: more than 0, at most 20" in capsys.readouterr().err
