"""Nothing personal reaches the ledger or the log, nor the provider if so configured."""

import json
from typing import Any

import pytest
from gateway_cases import ASK, answered
from pydantic import BaseModel, field_validator
from pydantic_ai import Agent
from structlog.testing import capture_logs

from ai_base.llm.errors import AwaitingHumanError
from ai_base.testing.doubles import RuleModel, ScriptedModel
from ai_base.testing.faults import (
    FaultyModel,
    server_error,
)


async def test_ledger_and_log_hold_no_personal_data(open_gateway: Any) -> None:
    address = "bob@example.com"
    model = FaultyModel(RuleModel({".*": answered(f"Write to {address}")}), server_error())
    async with open_gateway(main=model) as gateway:
        with capture_logs() as logs:
            answer = await gateway.ask("plain", {"question": f"I am {address}"})
        row, attempts = await gateway.ledger.interaction(answer.interaction_id)

        async with gateway.interaction(address, user=address):
            await Agent(gateway.model()).run(f"I am {address}")
        agents_row, _ = await gateway.ledger.interaction((await gateway.ledger.interactions(1))[0].id)

    assert (agents_row.request, agents_row.response) == ("I am [email]", "Write to [email]")
    assert address not in json.dumps(vars(agents_row))
    assert answer.output == f"Write to {address}"
    assert (row.request, row.response) == ("I am [email]", "Write to [email]")
    assert address not in json.dumps([*logs, *map(vars, attempts)], default=str)


async def test_an_answer_with_personal_data_is_not_cached(open_gateway: Any) -> None:
    model = RuleModel({".*": answered("Write to bob@example.com")})
    async with open_gateway(main=model, cache={"fresh": 60}) as gateway:
        answers = [await gateway.ask(*ASK) for _ in range(2)]

    assert [answer.source for answer in answers] == ["model", "model"]


@pytest.mark.parametrize(("send", "sent"), [(True, "I am bob@example.com"), (False, "I am [email]")])
async def test_whether_personal_data_leaves_is_a_setting(open_gateway: Any, sent: str, *, send: bool) -> None:
    model = RuleModel({".*": answered("x")})
    async with open_gateway(main=model, privacy={"send_personal_data": send}) as gateway:
        await gateway.ask("plain", {"question": "I am bob@example.com"})
        await Agent(gateway.model()).run("I am bob@example.com")

    assert model.prompts == [sent, sent]


async def test_instructions_and_tools_are_scrubbed_as_well(open_gateway: Any) -> None:
    def write(text: str) -> str:
        """Mail to carl@example.com."""
        return text

    model = RuleModel({".*": answered("x")})
    async with open_gateway(main=model, privacy={"send_personal_data": False}) as gateway:
        await Agent(gateway.model(), instructions="Write to bob@example.com", tools=[write]).run("hello")

    assert "@example.com" not in repr(model.requests)


async def test_an_interactions_error_holds_nothing_personal(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel()) as gateway:
        with pytest.raises(ValueError, match="bob"):
            async with gateway.interaction("report"):
                raise ValueError("no such customer: bob@example.com")
        [row] = await gateway.ledger.interactions(1)

    assert row.error == "ValueError: no such customer: [email]"


class Customer(BaseModel):
    address: str

    @field_validator("address")
    @classmethod
    def _refuse(cls, address: str) -> str:
        raise ValueError(f"no such customer: {address}")


async def test_the_reason_of_a_refused_answer_holds_nothing_personal(open_gateway: Any) -> None:
    model = RuleModel({"(?s).*": {"address": "bob@example.com"}})
    question = ("plain", {"question": "Who?"})
    async with open_gateway(main=model, chains={"default": ["main"]}) as gateway:
        await gateway.ask(*question, output_type=Customer, fallback=lambda: None)
        [row] = await gateway.ledger.interactions(10)
        with pytest.raises(AwaitingHumanError):
            await gateway.ask(*question, output_type=Customer, human=True)
        [waiting] = await gateway.ledger.escalations()

    for text in (row.error, waiting.reason):
        assert "no such customer: [email]" in text
        assert "bob@example.com" not in text


async def test_a_streams_record_holds_nothing_personal(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(answered("Write to bob@example.com"))) as gateway:
        async with gateway.stream(*ASK) as chunks:
            text = "".join([chunk async for chunk in chunks])
        [row] = await gateway.ledger.interactions(1)

    assert text == "Write to bob@example.com"
    assert row.response == "Write to [email]"
