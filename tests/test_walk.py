"""The recorded walk is what the commands print today."""

import sys

import pytest
from harness import ROOT, run

pytestmark = pytest.mark.full


def test_the_recorded_walk_still_holds() -> None:
    result = run(sys.executable, "scripts/record_walk.py", "--check", cwd=ROOT, expect=None)

    assert result.stdout == "", "docs/walk.md is out of date: make walk"
    assert result.returncode == 0
