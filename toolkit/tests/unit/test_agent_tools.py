"""Whatever a tool does, the model gets an observation: scrubbed where it failed, and cut to size."""

import asyncio
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import RunContext
from pydantic_ai.messages import ToolCallPart

from ai_base.agent.tools import Observation, Toolbox

LONG = 2000
KEY = "sk-proj-" + "abcDEF0123456789" * 3


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


class Unspeakable(Exception):  # noqa: N818 - not an error of ours
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Store:
    def find(self, name: str) -> str:
        """Find a name."""
        return f"found {name}"


async def observed(
    function: Callable[..., Any], arguments: str | dict[str, Any] = "", seconds: float = 60
) -> Observation:
    toolbox = Toolbox([function], [], LONG)
    call = ToolCallPart(toolbox.definitions[0].name, arguments)
    valid = toolbox.validate(call)
    return valid if isinstance(valid, Observation) else await toolbox.execute(call, valid, seconds)


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


def test_a_tool_that_does_not_exist_is_an_observation_with_those_that_do() -> None:
    seen = Toolbox([ship], [], LONG).validate(ToolCallPart("fly", "{}"))

    assert seen == ("error: there is no tool 'fly'; there are: ship", "failed")


def raises() -> None:
    """Raise."""
    raise ValueError(f"bad key {KEY} of ada@example.com")


async def raises_later() -> None:
    """Raise."""
    raises()


def leaves() -> None:
    """End the process."""
    sys.exit("left")


async def leaves_later() -> None:
    """End the process."""
    sys.exit("left")


async def cancels_itself() -> None:
    """Be cancelled by something else."""
    raise asyncio.CancelledError("by a library")


def stops() -> None:
    """Raise what no future takes."""
    raise StopIteration("over")


def unspeakable() -> None:
    """Raise what cannot be shown."""
    raise Unspeakable


def returns(value: Any) -> Callable[[], Any]:
    def returned() -> Any:
        """Return it."""
        return value

    return returned


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (raises, "ValueError: bad key"),
        (raises_later, "ValueError: bad key"),
        (leaves, "SystemExit: left"),
        (leaves_later, "SystemExit: left"),
        (cancels_itself, "CancelledError: by a library"),
        (stops, "StopIteration"),
        (unspeakable, "Unspeakable"),
        (returns(object()), "Unable to serialize unknown type"),
        (returns(b"\xff\xfe"), "invalid utf-8"),
        (returns(CYCLE), "Circular reference"),
    ],
)
async def test_every_failure_is_an_observation_without_secrets(function: Callable[..., Any], reason: str) -> None:
    text, outcome = await observed(function)

    assert outcome == "failed"
    assert reason in text
    assert "sk-proj" not in text
    assert "ada@example.com" not in text


async def test_a_coroutine_that_hangs_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def hang() -> None:
        """Hang."""
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    assert await observed(hang, seconds=0.01) == ("error: no result within 0.01 s", "failed")
    await asyncio.wait_for(cancelled.wait(), 60)


async def test_a_thread_that_hangs_keeps_neither_the_loop_nor_the_process() -> None:
    end, threads = threading.Event(), []

    def hang() -> None:
        """Hang."""
        threads.append(threading.current_thread())
        end.wait(60)

    seen = await observed(hang, seconds=0.01)
    end.set()

    assert seen == ("error: no result within 0.01 s", "failed")
    assert all(thread.daemon for thread in threads)


async def test_a_coroutine_that_ignores_its_cancellation_does_not_hold_the_run() -> None:
    end = asyncio.Event()

    async def stubborn() -> None:
        """Ignore it."""
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                continue

    assert (await observed(stubborn, seconds=0.01)).outcome == "failed"
    end.set()
    await asyncio.sleep(0)


@pytest.mark.parametrize("function", [returns("x" * 10_000_000), returns(list(range(100_000)))])
async def test_a_huge_result_is_cut(function: Callable[..., Any]) -> None:
    text, outcome = await observed(function)

    assert outcome == "ok"
    assert len(text) < LONG + 50
    assert text.endswith("more characters]")


async def test_a_huge_failure_is_cut_and_no_half_of_a_secret_stays() -> None:
    def fail() -> None:
        """Fail."""
        raise ValueError("x" * (LONG - 40) + f" {KEY}" + "y" * 10_000_000)

    text, _ = await observed(fail)

    assert len(text) < LONG + 50
    assert "sk-proj" not in text


async def test_half_of_a_surrogate_pair_can_be_sent() -> None:
    text, _ = await observed(returns("\ud800 x"))

    assert text.encode()
    assert text.endswith(" x")


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
