"""Tools are plain typed functions: their schema, their arguments, their results."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import pytest
from agent_cases import LONG, observed, returns
from pydantic import AfterValidator, BaseModel
from pydantic_ai import RunContext
from pydantic_ai.messages import ToolCallPart

from ai_base.agent.tools import Toolbox


class Address(BaseModel):
    street: str
    number: int


def ship(address: Address, parcels: list[int] | None = None, *, express: bool = False) -> str:
    """Ship parcels.

    Args:
        address: Where to.
        parcels: Their weights.
        express: Whether it is urgent.
    """
    return f"{address.street} {address.number}, {parcels}, {express}"


class Store:
    def find(self, name: str) -> str:
        """Find a name."""
        return f"found {name}"


def test_name_schema_and_description_come_from_the_function() -> None:
    [tool] = Toolbox([ship], [], LONG).definitions

    assert (tool.name, tool.description) == ("ship", "Ship parcels.")
    schema = tool.parameters_json_schema
    assert schema["required"] == ["address"]
    assert schema["properties"]["express"] == {
        "default": False,
        "description": "Whether it is urgent.",
        "type": "boolean",
    }
    assert schema["$defs"]["Address"]["properties"]["number"]["type"] == "integer"


@pytest.mark.parametrize("written", ["text", "object"])
async def test_nested_arguments_are_validated_and_converted(written: str) -> None:
    arguments = {"address": {"street": "Main", "number": "5"}, "parcels": ["1"], "express": "true"}
    text = '{"address": {"street": "Main", "number": "5"}, "parcels": ["1"], "express": "true"}'

    assert await observed(ship, text if written == "text" else arguments) == ("Main 5, [1], True", "ok")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ('{"address": {"street": "Main"', "Invalid JSON"),
        ("[1]", "object"),
        ('"text"', "object"),
        ("null", "object"),
        ("{}", "address: Field required"),
        ('{"address": {"street": "Main"}}', "address.number: Field required"),
        (
            '{"address": {"street": "Main", "number": 1}, "parcels": [1, "x"]}',
            "parcels.1: Input should be a valid integer",
        ),
        ('{"address": {"street": "Main", "number": 1}, "more": 1}', "more: Extra inputs are not permitted"),
    ],
)
async def test_arguments_that_do_not_fit_are_an_observation_with_the_reason(arguments: str, reason: str) -> None:
    text, outcome = await observed(ship, arguments)

    assert outcome == "failed"
    assert reason in text


async def test_a_validator_that_raises_anything_is_an_observation() -> None:
    def look_up(value: Any) -> str:
        raise KeyError(value)

    def find(name: Annotated[str, AfterValidator(look_up)]) -> str:
        """Find."""
        return name

    assert await observed(find, {"name": "x"}) == ("KeyError: 'x'", "failed")


def test_a_tool_that_does_not_exist_is_an_observation_with_those_that_do() -> None:
    seen = Toolbox([ship], [], LONG).validate(ToolCallPart("fly", "{}"))

    assert seen == ("there is no tool 'fly'; there are: ship", "failed")


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (returns(None), "null"),
        (returns({"a": [1, 2.5]}), '{"a":[1,2.5]}'),
        (returns(Address(street="Main", number=1)), '{"street":"Main","number":1}'),
    ],
)
async def test_a_result_is_written_as_json(function: Callable[..., Any], result: str) -> None:
    assert await observed(function) == (result, "ok")


async def test_methods_and_functions_that_return_a_coroutine_are_tools() -> None:
    async def later(text: str) -> str:
        return text

    def now(text: str) -> Any:
        """Return a coroutine."""
        return later(text)

    assert await observed(Store().find, {"name": "x"}) == ("found x", "ok")
    assert await observed(now, {"text": "x"}) == ("x", "ok")


@pytest.mark.parametrize("twice", [partial(Toolbox, [ship, ship], []), partial(Toolbox, [ship], [ship])])
def test_two_tools_of_one_name_are_refused(twice: Callable[[int], Toolbox]) -> None:
    with pytest.raises(ValueError, match="two tools are called 'ship'"):
        twice(LONG)


def test_a_tool_that_wants_a_context_is_refused() -> None:
    def find(context: RunContext[None], name: str) -> str:
        """Find."""
        return f"{context} {name}"

    with pytest.raises(ValueError, match="takes a RunContext"):
        Toolbox([find], [], LONG)
