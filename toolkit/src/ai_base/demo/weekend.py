"""The $72,000 weekend: a bug retries a failing call for ever, once as it happened and once behind the gateway.

Friday 21:00 to Monday 9:00 passes in 20 seconds. Both callers have the same bug and talk HTTP to a provider on this
machine, whose answers are broken, and billed. Every number that is printed was measured while they ran.
"""

import argparse
import asyncio
import faulthandler
import logging
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import chdir
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import structlog
from pydantic import BaseModel

from ai_base.llm.errors import LLMError, RefusedError
from ai_base.llm.gateway.gateway import Gateway
from ai_base.llm.money import dollars
from ai_base.testing.loopback import LoopbackProvider, Reply

FRIDAY = datetime(2026, 11, 20, 21)  # noqa: DTZ001 - a clock on the wall
HOURS, DAYS = 60, 4
HOURS_PER_SECOND = 3
INPUT_TOKENS, OUTPUT_TOKENS = 8_000, 100
STANDS_FOR = 60
"""Requests of that weekend in one of the demonstration, which is billed as so many: HTTP is not that fast."""
RATES = {"input": Decimal(30) * STANDS_FOR, "output": Decimal(60) * STANDS_FOR}
"""US dollars per million tokens: GPT-4's, times what a request stands for."""
SECONDS_PER_REQUEST = 0.738
"""How long the provider took that weekend: 60 hours of 8,000 tokens each come to $72,000."""
CAP = Decimal(50)
"""US dollars per day, for the cost centre that the bug is in."""
TIME_LIMIT = 55
"""Seconds after which the process ends, whatever hangs."""

CONTEXT = "7 " * (INPUT_TOKENS // 2)  # as many bytes as it is billed tokens: the gateway reserves a token for each
BROKEN = '{"category": "bug", "urgency": '


class Ticket(BaseModel):
    """What both callers want, and never get."""

    category: str
    urgency: int


@dataclass
class Account:
    """What one caller has spent so far, in US dollars, and when (seconds since the start)."""

    start: float
    spent: Decimal = Decimal(0)
    refused: int = 0
    curve: list[tuple[float, Decimal]] = field(default_factory=lambda: [(0.0, Decimal(0))])

    def now_at(self, spent: Decimal) -> None:
        """Note what has been spent."""
        self.spent = spent
        self.curve.append((time.monotonic() - self.start, spent))


def price(input_tokens: int, output_tokens: int) -> Decimal:
    """Return what the provider bills, in US dollars."""
    return (RATES["input"] * input_tokens + RATES["output"] * output_tokens) / 1_000_000


def provider() -> LoopbackProvider:
    """Make a provider that answers every request with broken JSON, as fast as that weekend's, and bills it."""
    due = 0.0

    def behave(_: object) -> Reply:
        nonlocal due
        now = time.monotonic()
        due = (due or now) + SECONDS_PER_REQUEST * STANDS_FOR / (HOURS_PER_SECOND * 3600)
        delay = max(0.0, due - now)
        return Reply(text=BROKEN, delay=delay, input_tokens=INPUT_TOKENS, output_tokens=OUTPUT_TOKENS)

    return LoopbackProvider(behave)


def naive(url: str, account: Account, until: float) -> None:
    """Call the provider's client directly, with the bug."""
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=5) as client:
        while time.monotonic() < until:
            try:
                answer = client.chat.completions.create(
                    model="gpt-4", messages=[{"role": "user", "content": CONTEXT}], max_tokens=OUTPUT_TOKENS
                )
                if answer.usage:
                    used = price(answer.usage.prompt_tokens, answer.usage.completion_tokens)
                    account.now_at(account.spent + used)
                Ticket.model_validate_json(answer.choices[0].message.content or "")
            except Exception:  # noqa: BLE001, S112 - this is the bug
                continue


async def guarded(url: str, account: Account, until: float, folder: Path) -> None:
    """Ask the gateway, with the same bug."""
    (folder / "weekend.md").write_text("{{ ticket }}", encoding="utf-8")
    os.environ["WEEKEND_KEY"] = "none"
    candidate = {
        "model": "openai-chat:gpt-4",
        "base_url": url,
        "api_key_env": "WEEKEND_KEY",
        "price": {kind: str(rate) for kind, rate in RATES.items()},
        "max_output_tokens": OUTPUT_TOKENS,
    }
    config: Mapping[str, Any] = {
        "candidates": {"main": candidate},
        "chains": {"default": ["main"]},
        "budgets": {"unlimited": True, "interaction": {"calls": 8}, "cost_centers": {"batch": {"day": str(CAP)}}},
    }
    async with Gateway.open(config=config, prompts=folder, database_url=f"sqlite:///{folder}/ledger.db") as gateway:
        while time.monotonic() < until:
            try:
                await gateway.ask("weekend", {"ticket": CONTEXT}, output_type=Ticket, cost_center="batch")
            except LLMError as error:
                account.refused += isinstance(error, RefusedError)
                account.now_at(dollars(sum(row.cost for row in await gateway.ledger.spend("cost_center"))))


def run(seconds: float, folder: Path) -> tuple[dict[str, Account], dict[str, int]]:
    """Let both callers run side by side; return their accounts, and how many requests each provider billed."""
    start = time.monotonic()
    accounts = {"naive": Account(start), "gateway": Account(start)}
    with provider() as first, provider() as second, ThreadPoolExecutor(2) as threads:
        callers: list[Future[None]] = [
            threads.submit(naive, first.url, accounts["naive"], start + seconds),
            threads.submit(asyncio.run, guarded(second.url, accounts["gateway"], start + seconds, folder)),
        ]
        show(accounts, seconds, callers)
        for caller in callers:
            caller.result()
        return accounts, {"naive": first.count, "gateway": second.count}


def show(accounts: dict[str, Account], seconds: float, callers: list[Future[None]]) -> None:
    """Tell how it goes, on standard error: in one line of a terminal, else in a line for each tenth."""
    live, told, passed = sys.stderr.isatty(), 0, 0.0
    while passed < 1 and not any(caller.done() for caller in callers):
        time.sleep(0.1)
        passed = min(1.0, (time.monotonic() - accounts["naive"].start) / seconds)
        clock = FRIDAY + timedelta(hours=passed * seconds * HOURS_PER_SECOND)
        line = f"{clock:%a %H:%M}  naive ${accounts['naive'].spent:<10,.2f}  gateway ${accounts['gateway'].spent:,.2f}"
        if live:
            sys.stderr.write(f"\r[{'#' * round(passed * 30):<30}] {line}" + "\n" * (passed == 1))
        elif int(passed * 10) > told:
            sys.stderr.write(f"{line}\n")
        told = int(passed * 10)
        sys.stderr.flush()


def table(accounts: dict[str, Account], bills: dict[str, Decimal], billed: dict[str, int], seconds: float) -> str:
    """Set both callers side by side."""
    whole = Decimal(HOURS / (seconds * HOURS_PER_SECOND))
    rows = [
        ("", "naive", "gateway"),
        ("requests that were billed", *(f"{billed[name]:,}" for name in bills)),
        ("requests that were refused before they were sent", *(f"{accounts[name].refused:,}" for name in bills)),
        ("the provider's bill", *(f"${bill:,.2f}" for bill in bills.values())),
        ("the caller's own record; the ledger", *(f"${accounts[name].spent:,.2f}" for name in bills)),
        ("cap per day", "none", f"${CAP:,.2f}"),
        ("by Monday 9:00", f"${bills['naive'] * whole:,.2f}", f"at most ${CAP * DAYS:,.2f}"),
    ]
    return "\n".join(f"{name:<50}{left:>14}{right:>18}" for name, left, right in rows)


def draw(accounts: dict[str, Account], out: Path) -> bool:
    """Draw both curves, where matplotlib is installed."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - only the picture needs it
    except ModuleNotFoundError:
        return False
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    magnifier = axes.inset_axes((0.58, 0.1, 0.38, 0.3), ylim=(0, 1.2 * float(CAP)), title="the same, magnified")
    for panel in (axes, magnifier):
        for name, colour in (("naive", "tab:red"), ("gateway", "tab:green")):
            hours, spent = zip(
                *((at * HOURS_PER_SECOND, float(sum_)) for at, sum_ in accounts[name].curve), strict=True
            )
            label = f"{'the bug alone' if name == 'naive' else 'the same bug behind the gateway'}: ${spent[-1]:,.2f}"
            panel.step(hours, spent, where="post", color=colour, linewidth=2, label=label)
        panel.axhline(float(CAP), color="black", linestyle="--", label=f"cap of its cost centre: ${CAP} a day")
        panel.yaxis.set_major_formatter("${x:,.0f}")
        panel.grid(visible=True, alpha=0.3)
    ticks = (0, 15, 27, 39, 51, HOURS)
    axes.set_xticks(ticks, [f"{FRIDAY + timedelta(hours=hour):%a %H:%M}" for hour in ticks])
    magnifier.set_xticks(ticks, [])
    axes.set(title="One bug, one weekend", ylabel="spent, US dollars", xlim=(0, HOURS + 1), ylim=(-1000, 80_000))
    axes.legend(loc="upper left")
    figure.savefig(out, dpi=120)
    return True


def main() -> int:
    """Run it and tell; 1 if the ledger and the provider's bill differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("weekend.png"), help="where the picture goes")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to run: 20 are the whole weekend")
    given = parser.parse_args()
    if not 0 < given.seconds <= HOURS / HOURS_PER_SECOND:
        parser.error(f"--seconds: more than 0, at most {HOURS // HOURS_PER_SECOND}")
    faulthandler.dump_traceback_later(TIME_LIMIT, exit=True)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # a line per refusal
    os.environ["NO_PROXY"] = "127.0.0.1"
    for name in [name for name in os.environ if name.startswith("LLM__")]:
        del os.environ[name]  # the limits of the project are not those of the demonstration; nor is its .env read:
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        accounts, billed = run(given.seconds, Path(folder))
    bills = {name: count * price(INPUT_TOKENS, OUTPUT_TOKENS) for name, count in billed.items()}
    told = [
        f"{given.seconds * HOURS_PER_SECOND:g} hours in {given.seconds:g} s; one request stands for {STANDS_FOR}.\n",
        table(accounts, bills, billed, given.seconds),
        f"\nThat weekend touches {DAYS} days, each with its own cap.",
    ]
    told.append(f"Picture: {given.out}" if draw(accounts, given.out) else "No picture: matplotlib is not installed.")
    same = accounts["gateway"].spent == bills["gateway"]
    told.append(f"The ledger {'equals' if same else 'DIFFERS FROM'} the provider's bill.")
    sys.stdout.write("\n".join(told) + "\n")
    faulthandler.cancel_dump_traceback_later()
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
