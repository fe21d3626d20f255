"""Inputs are bounded and complete; answers are cached if so configured."""

from typing import Any

import pytest
from gateway_cases import ASK, answered
from pydantic import BaseModel, Field, SecretStr
from pydantic_ai import Agent
from pydantic_ai.messages import BinaryContent

from ai_base.llm.errors import (
    InputTooLargeError,
    PromptVariableError,
)
from ai_base.testing.doubles import RuleModel, ScriptedModel


async def test_a_novel_is_refused_before_any_money_is_spent(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(), input={"max_bytes": 1000}) as gateway:
        with pytest.raises(InputTooLargeError, match=r"5,000 bytes; input\.max_bytes allows 1,000"):
            await gateway.ask("plain", {"question": "x" * 5000}, fallback=lambda: "never")
        with pytest.raises(InputTooLargeError):
            await Agent(gateway.model()).run("x" * 5000)
        assert await gateway.ledger.spend("day") == []


async def test_a_novel_is_cut_if_so_configured(open_gateway: Any) -> None:
    model = ScriptedModel(answered("x"))
    async with open_gateway(main=model, input={"max_bytes": 1000, "too_long": "cut"}) as gateway:
        await gateway.ask("triage", {"question": "é" * 5000})

    [sent] = model.prompts
    assert sent.startswith("Triage: éééé")
    assert sent.endswith("[... cut: the rest was too long]")
    assert 990 < len(sent.encode()) <= 1000


async def test_a_missing_variable_is_an_error_before_any_money_is_spent(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel()) as gateway:
        with pytest.raises(PromptVariableError, match="missing: question"):
            await gateway.ask("plain", {})


async def test_a_fresh_answer_serves_again(open_gateway: Any) -> None:
    model = RuleModel({".*": answered("x")})
    async with open_gateway(main=model, cache={"fresh": 60}) as gateway:
        answers = [await gateway.ask(*ASK), await gateway.ask(*ASK), await gateway.ask("plain", {"question": "How?"})]

    assert [answer.source for answer in answers] == ["model", "cache", "model"]
    assert [answer.cost > 0 for answer in answers] == [True, False, True]


async def test_answers_are_not_cached_unless_asked_for(open_gateway: Any) -> None:
    async with open_gateway(main=RuleModel({".*": answered("x")})) as gateway:
        assert [(await gateway.ask(*ASK)).source for _ in range(2)] == ["model", "model"]


class Aliased(BaseModel):
    category: str = Field(alias="theCategory")


class Secretive(BaseModel):
    key: SecretStr


async def test_the_cache_gives_back_what_was_answered_or_nothing(open_gateway: Any) -> None:
    model = ScriptedModel({"theCategory": "<i x=1>bug"}, {"key": "k"}, {"key": "k"})
    async with open_gateway(main=model, cache={"fresh": 60}) as gateway:
        aliased = [await gateway.ask(*ASK, output_type=Aliased) for _ in range(2)]
        secret = [await gateway.ask(*ASK, output_type=Secretive) for _ in range(2)]

    assert [(answer.source, answer.output.category) for answer in aliased] == [
        ("model", "&lt;i x=1>bug"),
        ("cache", "&lt;i x=1>bug"),
    ]
    assert [(answer.source, answer.output.key.get_secret_value()) for answer in secret] == [("model", "k")] * 2


async def test_a_lone_surrogate_is_replaced(open_gateway: Any) -> None:
    model = ScriptedModel(answered("x"))
    async with open_gateway(main=model, input={"max_bytes": 100, "too_long": "cut"}) as gateway:
        await gateway.ask("plain", {"question": "half of a pair: \ud83d!"})
        [row] = await gateway.ledger.interactions(1)

    assert model.prompts == ["half of a pair: ?!"]
    assert row.request == "half of a pair: ?!"


PICTURE = BinaryContent(b"\x89PNG", media_type="image/png")


async def test_attachments_are_sent_and_bounded_by_the_context_window(open_gateway: Any) -> None:
    model = ScriptedModel(answered("a cat"))
    windows = {"main": {"context_window": 128_000}}
    async with open_gateway(main=model, candidates=windows) as gateway:
        answer = await gateway.ask(*ASK, attachments=[PICTURE])
        row, [attempt] = await gateway.ledger.interaction(answer.interaction_id)

    [part] = model.requests[0].messages[0].parts
    assert part.content == ["Why?", PICTURE]  # type: ignore[union-attr]
    assert attempt.reserved == 128_000_000 + 2_000_000
    assert row.request == "Why?\n[attachment: binary, image/png]"


async def test_another_attachment_is_another_question(open_gateway: Any) -> None:
    other = BinaryContent(b"\x89PNG other", media_type="image/png")
    windows = {"main": {"context_window": 128_000}}
    async with open_gateway(main=RuleModel({".*": "x"}), candidates=windows, cache={"fresh": 60}) as gateway:
        answers = [await gateway.ask(*ASK, attachments=[each]) for each in (PICTURE, PICTURE, other)]

    assert [answer.source for answer in answers] == ["model", "cache", "model"]
