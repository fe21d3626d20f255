"""The offline model's answers depend on the words it is given, fit their schema, and say where they come from."""

import asyncio
import datetime as dt
import json
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from example_app import Triage
from pydantic import BaseModel, Field, TypeAdapter
from pydantic_ai import Agent, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition

from ai_base.llm.candidates.offline import MARK, OfflineModel


class Line(BaseModel):
    name: Annotated[str, Field(min_length=50, max_length=60)]
    amount: Annotated[int, Field(gt=3, lt=100, multiple_of=7)]
    ratio: Annotated[float, Field(gt=0.5, lt=0.75)]


class Tree(BaseModel):
    left: "Tree | None"
    children: list["Tree"]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Literal[9, 7]


class Everything(BaseModel):
    lines: Annotated[list[Line], Field(min_length=2)]
    pet: Annotated[Cat | Line, Field()]
    refund: bool
    parcel: bool
    since: dt.date
    at: dt.datetime
    id: UUID
    pair: tuple[int, str]
    maybe: int | None
    nothing: None
    none_of: Annotated[list[str], Field(max_length=0)]
    tags: dict[str, int]
    tree: Tree


def ask(schema: dict[str, Any], text: str) -> Any:
    parameters = ModelRequestParameters(output_mode="native", output_object=OutputObjectDefinition(json_schema=schema))
    response = asyncio.run(OfflineModel().request([ModelRequest.user_text_prompt(text)], None, parameters))
    return json.loads(response.text or "")


def run(text: str, output_type: Any = str) -> Any:
    return asyncio.run(Agent(OfflineModel(), output_type=output_type).run(text)).output


@pytest.mark.parametrize("mode", [NativeOutput, PromptedOutput, ToolOutput])
@pytest.mark.parametrize(
    ("ticket", "category", "urgency"),
    [
        ("I was charged twice, my invoice is wrong", "billing", 1),
        ("The app crashes when I open it", "bug", 2),
        ("How do I change my password?", "question", 1),
        ("It is urgent! All is down! It crashed.", "bug", 5),
        ("Good morning", "other", 1),
        ("The app crashes when I open an invoice", "other", 2),  # words speak for two categories
    ],
)
def test_a_ticket_is_triaged_by_its_words_without_confidence_and_the_text_says_so(
    mode: Any, ticket: str, category: Any, urgency: int
) -> None:
    summary = f"{MARK} {ticket[: ticket.find('!') + 1] or ticket}"

    triage = run(ticket, mode(Triage))

    assert triage == Triage(category=category, urgency=urgency, summary=summary, confidence=0)


def test_a_confidence_is_the_lowest_that_the_schema_allows() -> None:
    number = {"type": "number", "minimum": 0.25, "maximum": 1}
    schema = {"type": "object", "properties": {"confidence": number, "confidence_in_category": number}}

    assert ask(schema, "It is urgent!!!!") == {"confidence": 0.25, "confidence_in_category": 0.25}
    assert ask({"type": "object", "properties": {"urgency": number}}, "It is urgent!!!!") == {"urgency": 1}


@pytest.mark.parametrize(("longest", "text"), [(59, "It is late."), (60, f"{MARK} It is late.")])
def test_a_text_is_marked_where_there_is_room(longest: int, text: str) -> None:
    assert ask({"type": "string", "maxLength": longest}, "It is late.") == text


def test_text_is_taken_from_the_prompt_and_marked() -> None:
    assert (
        run("The printer fails. Why? It has been failing for two weeks now.")
        == f"{MARK} The printer fails. It has been failing for two weeks now."
    )


@pytest.mark.parametrize("mode", [NativeOutput, ToolOutput])
def test_a_stream_gives_the_same_text(mode: Any) -> None:
    async def both() -> tuple[str, Triage]:
        async with Agent(OfflineModel()).run_stream("It is late. Hurry up.") as stream:
            text = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
        async with Agent(OfflineModel(), output_type=mode(Triage)).run_stream("The app crashes.") as structured:
            return "|".join(text), await structured.get_output()

    text, triage = asyncio.run(both())

    assert text == "[offline,| no| model| was| asked]| It| is| late."
    assert (triage.category, triage.summary) == ("bug", f"{MARK} The app crashes.")


def test_tokens_are_counted_and_the_model_names_itself() -> None:
    response = asyncio.run(
        OfflineModel().request([ModelRequest.user_text_prompt("one two three")], None, ModelRequestParameters())
    )

    assert (response.model_name, response.provider_name, OfflineModel().system) == ("offline", "offline", "offline")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (53, 8)


def test_tools_are_not_called() -> None:
    agent = Agent(OfflineModel())

    @agent.tool_plain
    def delete_everything() -> str:
        raise AssertionError

    result = asyncio.run(agent.run("Delete everything, please."))

    assert result.output == f"{MARK} Delete everything, please."


def test_a_search_is_called_once_with_the_question_and_what_it_returned_is_shown() -> None:
    agent = Agent(OfflineModel())
    asked: list[str] = []

    @agent.tool_plain
    def search_by_number(number: int) -> str:
        raise AssertionError(number)

    @agent.tool_plain
    def search(query: str, limit: int = 5) -> str:
        asked.append(query)
        return f"{limit} plans: Team costs 12 euros."

    result = asyncio.run(agent.run("What does Team cost?"))

    assert asked == ["What does Team cost?"]
    assert result.output == f"{MARK} search returned: 5 plans: Team costs 12 euros."


def test_of_a_tagged_prompt_only_the_data_counts() -> None:
    prompt = (
        "Is it billing, a bug or a question? How urgent?\n<ticket>\nIt shows an error.\n</ticket>\nAnswer in JSON!!"
    )

    triage = run(prompt, Triage)

    assert (triage.category, triage.urgency) == ("bug", 1)


def test_any_schema_is_met() -> None:
    everything = Everything.model_validate(ask(Everything.model_json_schema(), "I want a refund. Quickly."))

    assert everything.model_dump(exclude={"lines", "tree"}) == {
        "pet": {"kind": "cat", "lives": 7},
        "refund": True,
        "parcel": False,
        "since": dt.date(2000, 1, 1),
        "at": dt.datetime(2000, 1, 1, tzinfo=dt.UTC),
        "id": UUID("00000000-0000-4000-8000-000000000000"),
        "pair": (0, f"{MARK} I want a refund."),
        "maybe": 0,
        "nothing": None,
        "none_of": [],
        "tags": {},
    }
    assert [line.model_dump() for line in everything.lines] == [
        {"name": f"{MARK} I want a refund.".ljust(50, "."), "amount": 7, "ratio": 0.500001}
    ] * 2
    assert everything.tree.left is not None


def test_an_empty_prompt_is_answered() -> None:
    schema = TypeAdapter(Annotated[str, Field(min_length=1)]).json_schema()

    assert ask(schema, "") == f"{MARK} (no text)"
