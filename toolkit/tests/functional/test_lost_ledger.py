"""Without a ledger nothing is spent, unless it is so configured."""

import sqlite3
from typing import Any

import pytest
from structlog.testing import capture_logs

from ai_base.llm.errors import LedgerError
from ai_base.llm.gateway.gateway import Gateway
from ai_base.testing.doubles import ScriptedModel

ASK = ("plain", {"question": "Why?"})


def lose(database: str) -> None:
    """Make the ledger unusable behind the gateway's back."""
    connection = sqlite3.connect(database.removeprefix("sqlite:///"))
    connection.execute("DROP TABLE unfinished")
    connection.commit()
    connection.close()


async def test_a_lost_ledger_stops_the_spending(open_gateway: Any, database: str) -> None:
    model = ScriptedModel()
    async with open_gateway(main=model) as gateway:
        lose(database)
        with pytest.raises(LedgerError, match="unfinished"):
            await gateway.ask(*ASK, fallback=lambda: "never")

    assert model.prompts == []


async def test_spending_may_go_on_if_so_configured_and_the_log_has_the_record(open_gateway: Any, database: str) -> None:
    async with open_gateway(main=ScriptedModel("x"), budgets={"when_ledger_fails": "spend"}) as gateway:
        lose(database)
        with capture_logs() as logs:
            answer = await gateway.ask(*ASK)

    assert (answer.output, answer.calls) == ("x", 1)
    lost = ["llm ledger lost, spending unrecorded", "llm interaction not recorded"]
    assert [line["event"] for line in logs if line["log_level"] == "error"] == lost
    [attempt] = [line for line in logs if line["event"] == "llm attempt"]
    assert attempt["cost"] > 0


async def test_an_answer_that_cannot_be_settled_is_not_given(open_gateway: Any, database: str) -> None:
    def lose_it(_: object) -> str:
        lose(database)
        return "x"

    async with open_gateway(main=ScriptedModel(lose_it)) as gateway:
        with pytest.raises(LedgerError):
            await gateway.ask(*ASK)


async def test_an_unreachable_database_is_an_error_at_start(prompts: Any) -> None:
    config = {
        "candidates": {"main": {"model": "offline:"}},
        "chains": {"default": ["main"]},
        "budgets": {"unlimited": True},
    }
    with pytest.raises(LedgerError):
        async with Gateway.open(config=config, prompts=prompts, database_url=f"sqlite:///{prompts}/plain.md/x.db"):
            pytest.fail("it opened")
