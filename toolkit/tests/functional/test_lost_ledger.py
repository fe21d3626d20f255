"""Without a ledger nothing is spent, unless it is so configured."""

import sqlite3
from typing import Any

import pytest
from gateway_cases import UNSURE, Verdict
from structlog.testing import capture_logs

from ai_base.llm.errors import AllCandidatesFailedError, LedgerError
from ai_base.llm.gateway.gateway import Gateway
from ai_base.testing.doubles import EchoModel, ScriptedModel
from ai_base.testing.faults import FaultyModel, server_error

ASK = ("plain", {"question": "Why?"})


def lose(database: str) -> None:
    """Drop every table behind the gateway's back."""
    connection = sqlite3.connect(database.removeprefix("sqlite:///"))
    for [name] in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        connection.execute(f"DROP TABLE {name}")
    connection.commit()
    connection.close()


async def test_a_lost_ledger_stops_the_spending(open_gateway: Any, database: str) -> None:
    model = ScriptedModel()
    async with open_gateway(main=model) as gateway:
        lose(database)
        with pytest.raises(LedgerError, match="no such table"):
            await gateway.ask(*ASK, fallback=lambda: "never")

    assert model.prompts == []


async def test_spending_may_go_on_if_so_configured_and_the_log_has_the_record(open_gateway: Any, database: str) -> None:
    async with open_gateway(main=ScriptedModel("x"), budgets={"when_ledger_fails": "spend"}) as gateway:
        lose(database)
        with capture_logs() as logs:
            answer = await gateway.ask(*ASK)

    assert (answer.output, answer.calls) == ("x", 1)
    lost = ["llm ledger lost", "llm ledger lost, spending unrecorded", "llm interaction not recorded"]
    assert [line["event"] for line in logs if line["log_level"] == "error"] == lost
    [attempt] = [line for line in logs if line["event"] == "llm attempt"]
    assert attempt["cost"] > 0


SPEND = {"when_ledger_fails": "spend"}


async def test_a_fresh_cache_does_not_stop_the_spending(open_gateway: Any, database: str) -> None:
    async with open_gateway(main=ScriptedModel("x"), budgets=SPEND, cache={"fresh": 60}) as gateway:
        lose(database)

        assert (await gateway.ask(*ASK)).output == "x"


async def test_a_doubtful_answer_that_cannot_be_escalated_is_returned(open_gateway: Any, database: str) -> None:
    async with open_gateway(main=ScriptedModel(UNSURE), budgets=SPEND) as gateway:
        lose(database)
        answer = await gateway.ask(*ASK, output_type=Verdict)

    assert (answer.output.category, answer.source, answer.escalation_id) == ("bug", "model", None)


@pytest.mark.parametrize("human", [True, False])
async def test_a_fallback_needs_no_ledger(open_gateway: Any, database: str, *, human: bool) -> None:
    down = FaultyModel(EchoModel(), server_error(), forever=True)
    async with open_gateway(main=down, backup=down, budgets=SPEND) as gateway:
        lose(database)
        answer = await gateway.ask(*ASK, fallback=lambda: "simple", human=human)
        with pytest.raises(AllCandidatesFailedError):
            await gateway.ask(*ASK, human=human)

    assert (answer.output, answer.source) == ("simple", "fallback")


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
