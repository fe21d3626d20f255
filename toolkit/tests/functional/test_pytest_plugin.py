"""The pytest plugin, in small projects of their own: markers by folder, isolation, and the tripwire on the network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SOCKET = "import contextlib\nimport socket\nimport threading\nimport _socket\n\n\ndef test_it():\n"
UNIT = {
    "opens a socket": "    socket.socket().close()\n",
    "opens a socket from C code": "    _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, 0).close()\n",
    "swallows the error": "    with contextlib.suppress(Exception):\n        socket.socket().close()\n",
    "swallows the error in a thread": (
        "    def work():\n        with contextlib.suppress(Exception):\n            socket.socket().close()\n"
        "    thread = threading.Thread(target=work)\n    thread.start()\n    thread.join()\n"
    ),
}
FUNCTIONAL = {
    "connects elsewhere": "    socket.create_connection(('192.0.2.1', 80), timeout=0.1)\n",
    "connects elsewhere and swallows the error": (
        "    with contextlib.suppress(Exception):\n        socket.create_connection(('192.0.2.1', 80), timeout=0.1)\n"
    ),
    "sends a datagram elsewhere": (
        "    with socket.socket(type=socket.SOCK_DGRAM) as one, contextlib.suppress(Exception):\n"
        "        one.sendto(b'x', ('192.0.2.2', 80))\n"
    ),
    "asks a name server": (
        "    with contextlib.suppress(Exception):\n        socket.getaddrinfo('example.invalid', 80)\n"
    ),
}

LOCAL = (
    "    server = socket.create_server(('127.0.0.1', 0))\n"
    "    socket.create_connection(server.getsockname()).close()\n    server.close()\n"
)


def run(project: Path, files: dict[str, str], *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    for name, text in files.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", ".", "--import-mode=importlib", *options]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, check=False, env=os.environ | environment
    )


def test_a_unit_test_may_open_no_socket(tmp_path: Path) -> None:
    result = run(tmp_path, {f"tests/unit/test_{n}.py": SOCKET + case for n, case in enumerate(UNIT.values())})

    failed = re.findall(r"^(?:FAILED|ERROR) tests/unit/test_(\d)\.py", result.stdout, re.MULTILINE)
    assert {int(number) for number in failed} == set(range(len(UNIT)))
    assert "a unit test reached for a socket" in result.stdout


def test_a_functional_test_reaches_this_machine_only(tmp_path: Path) -> None:
    files = {f"tests/functional/test_{n}.py": SOCKET + case for n, case in enumerate(FUNCTIONAL.values())}
    files["tests/functional/test_local.py"] = SOCKET + LOCAL

    result = run(tmp_path, files)

    failed = re.findall(r"^(?:FAILED|ERROR) tests/functional/test_(\w+)\.py", result.stdout, re.MULTILINE)
    assert set(failed) == {str(number) for number in range(len(FUNCTIONAL))}
    reached = re.findall(r"a functional test reached for ([\w.]+)", result.stdout)
    assert set(reached) == {"192.0.2.1", "192.0.2.2", "example.invalid"}


def test_a_test_has_the_marker_of_its_folder(tmp_path: Path) -> None:
    test = "def test_it():\n    pass\n"

    result = run(
        tmp_path, {f"tests/{kind}/test_{kind}.py": test for kind in ("unit", "functional")}, "-m", "unit", "-v"
    )

    assert "tests/unit/test_unit.py" in result.stdout
    assert "1 passed, 1 deselected" in result.stdout


def test_a_test_outside_of_the_folders_is_an_error(tmp_path: Path) -> None:
    result = run(tmp_path, {"tests/test_it.py": "def test_it():\n    pass\n"})

    assert result.returncode == 4
    assert "a test belongs in one of tests/unit, tests/functional, tests/integration" in result.stderr


SETTINGS = """
import os
from pathlib import Path

from ai_base.documents.settings import DocumentsSettings
from ai_base.llm.settings import LLMSettings
from ai_base.settings import AppSettings, load_settings


def test_it():
    assert not {"LLM_CONFIG", "LLM__BUDGETS__OVERALL__DAY", "SOME_API_KEY", "NAMED_HERE"} & set(os.environ)
    assert load_settings(AppSettings).log_level == "INFO"
    assert Path(load_settings(LLMSettings).ledger_url.removeprefix("sqlite:///")).parent != Path.cwd()
    assert load_settings(DocumentsSettings).cache_file.parent != Path.cwd()
"""


def test_only_integration_tests_see_the_developers_settings(tmp_path: Path) -> None:
    files = {f"tests/{kind}/test_it.py": SETTINGS for kind in ("unit", "functional", "integration")}
    files |= {".env": "LOG_LEVEL=ERROR\n", ".env.example": "NAMED_HERE=\n", "config/llm.toml": ""}
    environment = {"LLM_CONFIG": "x", "LLM__BUDGETS__OVERALL__DAY": "1", "SOME_API_KEY": "x", "NAMED_HERE": "x"}

    result = run(tmp_path, files, **environment)

    assert re.findall(r"^FAILED (\S+)::", result.stdout, re.MULTILINE) == ["tests/integration/test_it.py"]
    assert "1 failed, 2 passed" in result.stdout


def test_the_table_of_prices_is_imported_before_coverage_traces_it_and_else_not(tmp_path: Path) -> None:
    test = "import sys\n\n\ndef test_it():\n    assert ('genai_prices.data' in sys.modules) == bool(sys.gettrace())\n"

    for options in (["--cov=tests"], []):
        result = run(tmp_path, {"tests/unit/test_it.py": test}, *options)
        assert result.returncode == 0, result.stdout
