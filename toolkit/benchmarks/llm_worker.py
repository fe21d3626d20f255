"""One process of benchmarks/llm.py, in the library's environment or in litellm's.

Reads a command a line as JSON from standard input, and answers each with a line of JSON: its result, or its error.
"""

import asyncio
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

MODEL = "gpt-4o-mini"
QUESTION = (
    "Where does this ticket belong? " + "The invoice of last month shows the old address, and we need a new one. " * 5
)
PROMPT = "{{ question }}"
SCALE = 1000


class Commands:
    """Every public method is a command. litellm's environment lacks `ai_base`, so it is imported when needed."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._asks: dict[str, Callable[[], Awaitable[object]]] = {}
        self._ledgers: dict[str, Any] = {}
        self._provider: Any = None

    async def serve(self, **reply: object) -> str:
        """Start a provider on this machine that always answers so; returns its URL."""
        loopback = importlib.import_module("ai_base.testing.loopback")
        self._provider = self._stack.enter_context(loopback.LoopbackProvider(loopback.Reply(**reply)))
        return str(self._provider.url)

    async def count(self) -> int:
        """Tell how many requests the provider has had."""
        return int(self._provider.count)

    async def bare(self, name: str, url: str) -> None:
        """Make ready what is called `name`: the OpenAI SDK alone."""
        client = importlib.import_module("openai").AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
        message = {"role": "user", "content": QUESTION}
        self._asks[name] = lambda: client.chat.completions.create(model=MODEL, messages=[message], max_tokens=1000)

    async def gateway(self, name: str, config: str, database: str) -> None:
        """The same: a gateway with this configuration, all its guards, and log lines as in production."""
        folder = Path("prompts")
        folder.mkdir(exist_ok=True)
        (folder / "plain.md").write_text(PROMPT, encoding="utf-8")
        Path(f"{name}.toml").write_text(config, encoding="utf-8")
        opened = importlib.import_module("ai_base.llm").Gateway.open(
            config=f"{name}.toml", prompts=folder, database_url=database
        )
        gateway = await self._stack.enter_async_context(opened)
        log = self._stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        importlib.import_module("ai_base.logging").configure_logging("INFO", "json", log)
        self._asks[name] = lambda: gateway.ask("plain", {"question": QUESTION})

    async def litellm(self, name: str, url: str, *, router: bool) -> None:
        """The same: litellm's `acompletion`, or its router's with one deployment."""
        litellm = importlib.import_module("litellm")
        litellm.telemetry = False  # type: ignore[attr-defined]
        litellm.suppress_debug_info = True  # type: ignore[attr-defined]
        message = {"role": "user", "content": QUESTION}
        given = {"model": f"openai/{MODEL}", "api_base": url, "api_key": "none", "max_tokens": 1000}
        if router:
            deployments = [{"model_name": "main", "litellm_params": given}]
            ask = litellm.Router(model_list=deployments, num_retries=0).acompletion
            self._asks[name] = lambda: ask(model="main", messages=[message])
        else:
            self._asks[name] = lambda: litellm.acompletion(**given, messages=[message], num_retries=0)

    async def calls(self, name: str, number: int, concurrency: int = 1) -> dict[str, Any]:
        """Call so often, so many at a time: seconds of each call, of all together, and how many a budget refused."""
        ask, left = self._asks[name], iter(range(number))
        seconds: list[float] = []
        refused = 0

        async def caller() -> None:
            nonlocal refused
            for _ in left:
                start = time.perf_counter()
                try:
                    await ask()
                except Exception as error:
                    if type(error).__name__ != "BudgetExceededError":
                        raise
                    refused += 1
                seconds.append(time.perf_counter() - start)

        start = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(concurrency)))
        return {"seconds": seconds, "wall": time.perf_counter() - start, "refused": refused}

    async def reopen(self, database: str) -> None:
        """Open a ledger as a process that starts does: what dead processes left is charged."""
        if known := self._ledgers.pop(database, None):
            await known.close()
        await self._ledger(database)

    async def sql(self, database: str, query: str) -> list[Any]:
        """Return the rows of a query."""
        async with (await self._ledger(database)).database.transaction(read_only=True) as execute:
            return [list(row) for row in await execute(query)]

    async def check(self, database: str) -> list[str]:
        """Compare the counters with the rows behind them."""
        differences: list[str] = await importlib.import_module("ai_base.llm.ledger.audit").differences(
            await self._ledger(database)
        )
        return differences

    async def spend(self, database: str) -> float:
        """Time what the command line's `spend` asks, by everything it can sum up by; seconds for all together."""
        ledger = await self._ledger(database)
        start = time.perf_counter()
        for by in ("cost_center", "model", "prompt", "day"):
            await ledger.spend(by)
        return time.perf_counter() - start

    async def multiply(self, database: str) -> None:
        """Make a thousand of each call in a ledger (SQLite), over a year, 5 cost centres, 4 models and 3 prompts."""
        copied = {
            # The new ones come first in time, and in the order of the key, as real ones would have.
            "id": "printf('%016x%016x', 1735689600000000000 + times.n * 31536000000000, seed.n)",
            "interaction_id": "printf('%016x%016x', 1735689600000000000 + times.n * 31536000000000, seed.n)",
            "started_at": "strftime('%Y-%m-%dT%H:%M:%f000+00:00', 1735689600 + times.n * 31536, 'unixepoch')",
            "cost_center": "'team ' || (times.n % 5)",
            "model": "seed.model || ' ' || (seed.n % 4)",
            "prompt": "seed.prompt || ' ' || (times.n % 3)",
        }
        async with (await self._ledger(database)).database.transaction() as execute:
            for table in ("interactions", "attempts"):
                columns = [row[1] for row in await execute(f"PRAGMA table_info({table})")]
                values = ", ".join(copied.get(name, f'seed."{name}"') for name in columns)
                await execute(
                    f"INSERT INTO {table} WITH times(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM times"
                    f" WHERE n < {SCALE - 1}), seed AS MATERIALIZED (SELECT *, row_number() OVER (ORDER BY id) AS n"
                    f" FROM {table}) SELECT {values} FROM times CROSS JOIN seed"
                )
            await execute("DELETE FROM spend_by_day")
            await execute(
                "INSERT INTO spend_by_day SELECT substr(started_at, 1, 10), cost_center, model, prompt, count(*),"
                " sum(input_tokens), sum(output_tokens), sum(cost) FROM attempts GROUP BY 1, 2, 3, 4"
            )
            await execute("DELETE FROM counters")
            for name in ("'overall'", "'cost center ' || cost_center"):
                for period, end in (("hour", 13), ("day", 10), ("month", 7)):
                    scope = f"{name} || ', {period} ' || substr(started_at, 1, {end})"
                    await execute(f"INSERT INTO counters SELECT {scope}, sum(cost), 0 FROM attempts GROUP BY 1")

    async def _ledger(self, database: str) -> Any:  # noqa: ANN401 - of the project
        if database not in self._ledgers:
            self._ledgers[database] = await importlib.import_module("ai_base.llm.ledger.ledger").Ledger.open(database)
            self._stack.push_async_callback(self._ledgers[database].close)
        return self._ledgers[database]


async def main() -> None:
    """Obey until standard input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not be taken for a reply
    async with AsyncExitStack() as stack:
        commands = Commands(stack)
        for line in iter(sys.stdin.readline, ""):
            command, arguments = json.loads(line)
            try:
                reply = {"result": await getattr(commands, command)(**arguments)}
            except Exception:  # noqa: BLE001 - raised again where the command came from
                reply = {"error": traceback.format_exc()}
            print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
