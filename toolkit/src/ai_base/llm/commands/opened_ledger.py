"""Access to the project's ledger from a command."""

import asyncio
from collections.abc import Awaitable, Callable

from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.settings import LLMSettings
from ai_base.settings import load_settings


def with_ledger[R](use: Callable[[Ledger], Awaitable[R]]) -> R:
    """Open the project's ledger, return what `use` returns, and close the ledger."""

    async def run() -> R:
        ledger = await Ledger.open(load_settings(LLMSettings).ledger_url)
        try:
            return await use(ledger)
        finally:
            await ledger.close()

    return asyncio.run(run())
