"""Low confidence asks a stronger chain, then a person."""

import json
from typing import Any

import pytest
from gateway_cases import ASK, SURE, UNSURE, Verdict

from ai_base.testing.doubles import EchoModel, RuleModel, ScriptedModel
from ai_base.testing.faults import (
    FaultyModel,
    server_error,
)


async def test_low_confidence_asks_the_stronger_chain(open_gateway: Any) -> None:
    models = {"main": ScriptedModel(UNSURE), "strong": ScriptedModel(SURE)}
    async with open_gateway(**models, escalation={"chain": "strong"}) as gateway:
        answer = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)

    assert (answer.confidence, answer.source, answer.calls) == (0.9, "model", 2)


async def test_low_confidence_of_both_chains_asks_a_person_whose_answer_is_reused(open_gateway: Any) -> None:
    models = {"main": RuleModel({"(?s).*": UNSURE}), "strong": RuleModel({"(?s).*": UNSURE})}
    async with open_gateway(**models, escalation={"chain": "strong"}) as gateway:
        draft = await gateway.ask("triage", {"question": "bob@example.com"}, output_type=Verdict)
        [waiting] = await gateway.ledger.escalations(open_only=True)
        await gateway.ledger.answer(waiting.id, json.dumps({"category": "billing", "confidence": 1}), "ada")
        answer = await gateway.ask("triage", {"question": "bob@example.com"}, output_type=Verdict)

    assert (draft.source, draft.output.category, draft.escalation_id) == ("model", "bug", waiting.id)
    assert (waiting.request, waiting.reason) == ("Triage: [email]", "confidence 0.2 is below 0.6")
    assert waiting.output_type.endswith(":Verdict")
    assert (answer.source, answer.output.category, answer.escalation_id) == ("human", "billing", None)


async def test_confidence_can_be_judged_by_the_caller(open_gateway: Any) -> None:
    models = {"main": ScriptedModel("I guess so"), "strong": ScriptedModel("Yes")}
    async with open_gateway(**models, escalation={"chain": "strong"}) as gateway:
        answer = await gateway.ask(*ASK, confidence=lambda text: 0.1 if "guess" in text else 1.0)

    assert (answer.output, answer.confidence) == ("Yes", 1.0)


async def test_where_the_stronger_chain_is_down_the_first_answer_stands(open_gateway: Any) -> None:
    models = {"main": ScriptedModel(UNSURE), "strong": FaultyModel(EchoModel(), server_error(), forever=True)}
    async with open_gateway(**models, escalation={"chain": "strong", "human": False}) as gateway:
        answer = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)

    assert (answer.output.confidence, answer.source) == (0.2, "model")


@pytest.mark.parametrize("invalid", [float("nan"), 95.0])
async def test_an_invalid_confidence_counts_as_none(open_gateway: Any, invalid: float) -> None:
    async with open_gateway(main=ScriptedModel("x")) as gateway:
        assert (await gateway.ask(*ASK, confidence=lambda _: invalid)).escalation_id


async def test_an_empty_answer_of_a_person_is_ignored(open_gateway: Any) -> None:
    async with open_gateway(main=RuleModel({"(?s).*": UNSURE})) as gateway:
        draft = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)
        await gateway.ledger.answer(draft.escalation_id, "", "ada")
        answer = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)

    assert answer.output == draft.output


async def test_a_persons_answer_serves_before_a_model_is_asked_and_paid_again(open_gateway: Any) -> None:
    model = ScriptedModel(UNSURE)
    async with open_gateway(main=model) as gateway:
        draft = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)
        await gateway.ledger.answer(draft.escalation_id, json.dumps(SURE), "ada")
        answer = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)

    assert (answer.source, answer.output, answer.cost, answer.calls) == ("human", Verdict.model_validate(SURE), 0, 0)
    assert len(model.requests) == 1


async def test_an_escalation_holds_nothing_personal(open_gateway: Any) -> None:
    draft = {"category": "bob@example.com", "confidence": 0.1}
    async with open_gateway(main=ScriptedModel(draft)) as gateway:
        await gateway.ask("triage", {"question": "eve@example.com"}, output_type=Verdict)
        [waiting] = await gateway.ledger.escalations()

    assert json.loads(waiting.draft)["category"] == "[email]"
    assert waiting.request == "Triage: [email]"
