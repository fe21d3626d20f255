"""What only other processes can show: telemetry, lean imports, and a process that is killed."""

import http.server
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ai_base.llm.ledger.audit import differences
from ai_base.llm.ledger.ledger import Ledger

pytestmark = pytest.mark.slow

CONFIG = {
    "candidates": {"main": {"model": "openai-chat:x", "price": {"input": "1", "output": "2"}}},
    "chains": {"default": ["main"]},
    "budgets": {"unlimited": True},
}


def program(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


@pytest.fixture
def collector() -> Iterator[tuple[str, dict[str, bytes]]]:
    """An OpenTelemetry collector: its address, and what was sent to it by path."""
    received: dict[str, bytes] = {}

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received[self.path] = received.get(self.path, b"") + body
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_and_metrics_are_exported_when_an_exporter_is_configured(
    collector: tuple[str, dict[str, bytes]], prompts: Path, database: str
) -> None:
    address, received = collector
    code = f"""
        import asyncio
        from ai_base.llm.gateway.gateway import Gateway
        from ai_base.testing.doubles import ScriptedModel

        async def main():
            model = ScriptedModel("the answer")
            options = dict(config={CONFIG!r}, prompts={str(prompts)!r}, database_url={database!r})
            async with Gateway.open(models=dict(main=model), **options) as gateway:
                await gateway.ask("plain", dict(question="the question"))

        asyncio.run(main())
    """
    exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
    subprocess.run(program(code), check=True, env=os.environ | exporting, timeout=60, capture_output=True)

    assert b"chat scripted" in received["/v1/traces"]
    assert b"gen_ai.usage.input_tokens" in received["/v1/traces"]
    assert b"gen_ai.client.token.usage" in received["/v1/metrics"]
    for body in received.values():
        assert b"the question" not in body
        assert b"the answer" not in body


def test_what_is_heavy_is_imported_when_it_is_needed() -> None:
    code = """
        import sys
        import ai_base.llm.gateway.gateway
        heavy = ("openai", "anthropic", "google.genai", "psycopg", "matplotlib", "opentelemetry.sdk")
        print([name for name in heavy if name in sys.modules])
    """
    loaded = subprocess.run(program(code), check=True, capture_output=True, text=True, timeout=60)

    assert loaded.stdout.strip() == "[]"


def test_a_process_that_is_killed_in_a_call_loses_nothing(prompts: Path, database: str, look: Any) -> None:
    code = f"""
        import asyncio
        from ai_base.llm.gateway.gateway import Gateway
        from ai_base.testing.doubles import RuleModel

        asked = []

        async def hang(prompt):
            asked.append(prompt)
            if len(asked) == 10:
                print("under way", flush=True)
            await asyncio.Event().wait()

        async def main():
            model = RuleModel(dict([(".*", hang)]))
            options = dict(config={CONFIG!r}, prompts={str(prompts)!r}, database_url={database!r})
            async with Gateway.open(models=dict(main=model), **options) as gateway:
                asks = [gateway.ask("plain", dict(question="I am bob@example.com")) for _ in range(10)]
                await asyncio.gather(*asks)

        asyncio.run(main())
    """
    process = subprocess.Popen(program(code), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        while process.stdout.readline() != "under way\n":
            assert process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()

    rows = look(database, lambda ledger: ledger.interactions(100))
    attempts = [
        attempt for row in rows for attempt in look(database, partial(Ledger.interaction, start_of_id=row.id))[1]
    ]
    problems = look(database, differences)

    assert [(row.status, row.request) for row in rows] == [("lost", "I am [email]")] * 10
    assert [(one.status, one.cost_basis, one.cost == one.reserved > 0) for one in attempts] == [
        ("lost", "assumed", True)
    ] * 10
    assert problems == []


def test_two_processes_share_one_cap(prompts: Path, database: str, look: Any) -> None:
    """Each process alone would stay within the cap; together they would spend twice as much."""
    config = CONFIG | {"budgets": {"overall": {"day": "0.05"}}}
    code = f"""
        import asyncio, json
        from pydantic_ai.usage import RequestUsage
        from ai_base.llm.errors import BudgetExceededError
        from ai_base.llm.gateway.gateway import Gateway
        from ai_base.testing.doubles import RuleModel, Step

        async def main():
            usage = RequestUsage(input_tokens=100, output_tokens=950)
            model = RuleModel(dict([(".*", Step("x", usage=usage, delay=0.001))]))
            options = dict(config={config!r}, prompts={str(prompts)!r}, database_url={database!r})
            async with Gateway.open(models=dict(main=model), **options) as gateway:
                asks = [gateway.ask("plain", dict(question="?")) for _ in range(24)]
                outcomes = await asyncio.gather(*asks, return_exceptions=True)
            refused = [isinstance(each, BudgetExceededError) for each in outcomes]
            print("\\n" + json.dumps([sum(refused), sum(isinstance(each, Exception) for each in outcomes)]))

        asyncio.run(main())
    """
    processes = [subprocess.Popen(program(code), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    refused, failed = 0, 0
    for process in processes:
        output, _ = process.communicate(timeout=300)
        counts = json.loads(output.splitlines()[-1])
        refused, failed = refused + counts[0], failed + counts[1]

    [row] = look(database, lambda ledger: ledger.spend("day"))
    assert failed == refused
    assert row.calls == 48 - refused
    assert 40_000_000 < row.cost == row.calls * 2_000_000 <= 50_000_000
