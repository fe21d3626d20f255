"""`replay ID --as-test` writes a test that replays an interaction without a model, and fails on anything else."""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from agent_cases import KEY, add, call, calls
from command_cases import BILL, LEDGER, Run, run_pytest
from pydantic import BaseModel

from ai_base.agent import Limits, SimpleReActAgent
from ai_base.agent import Run as AgentRun
from ai_base.llm import Gateway
from ai_base.llm.ledger.records import Interaction, now
from ai_base.testing.doubles import ScriptedModel
from ai_base.testing.replay import Replay

pytestmark = pytest.mark.slow

MAIL = "ada@example.com"


class Order(BaseModel):
    number: int
    items: list[str]


def lookup(order: Order) -> str:
    """Look an order up."""
    if order.number == 13:
        raise ValueError(f"no access with {KEY}")
    return f"order {order.number} of {MAIL}, <b>{'x' * 9000}"


SCRIPT = (
    calls(("lookup", {"number": 7, "items": ["tea"]}), ("add", '{"a": 1,'), thought=f"I ask {MAIL} & <script>"),
    call("nothing", x=1),
    calls(("lookup", {"number": 13, "items": []}), ("lookup", {"number": 13, "items": []}), ("add", {"a": 1, "b": 2})),
    call("add", "Now I add.", a="many", b=[]),
    f"It belongs to {MAIL} & 3 < 4.",
)


def refund(amount: int) -> str:
    """Pay money back."""
    return f"refunded {amount}"


def agent_run(question: str | AgentRun, *script: Any, **options: Any) -> AgentRun:
    async def ask() -> AgentRun:
        async with Gateway.open(models={"main": ScriptedModel(*script)}) as gateway:
            tools: list[Any] = [lookup, add]
            agent = SimpleReActAgent(gateway, tools, needs_approval=[refund], instructions=f"Help {MAIL}.", **options)
            return await agent.run(question)

    return asyncio.run(ask())


def written(run: Run, identity: str) -> Path:
    result = run("replay", identity, "--as-test")
    assert result.exit_code == 0, result.stderr
    return Path(re.fullmatch(r"wrote (.*)\n", result.stdout.replace("\n", "") + "\n")[1])  # type: ignore[index]


@pytest.fixture
def agent_test(run: Run) -> Path:
    """The test of a run that met every kind of failure."""
    done = agent_run(f"Whose is it? I am {MAIL}.", *SCRIPT)
    assert done.ended == "answer"
    return written(run, done.interaction_ids[0])


def test_a_run_of_an_agent_is_replayed_by_the_test_that_was_written(agent_test: Path) -> None:
    result = run_pytest(agent_test)

    assert result.returncode == 0, result.stdout
    assert "1 passed" in result.stdout


def test_what_is_written_holds_no_secrets_personal_data_ids_and_times(agent_test: Path, run: Run, look: Any) -> None:
    """Of a run, and of a question whose prompt file has an address in it."""
    prompt = Path("config/prompts/triage.md")
    prompt.write_text(
        prompt.read_text("utf-8").replace('system = "', f'system = "{MAIL} and {KEY}. '), encoding="utf-8"
    )
    run("triage", "-", given=BILL)
    [row] = look(LEDGER, lambda ledger: ledger.interactions(1))

    for test in (agent_test, written(run, row.id)):
        text = test.with_suffix(".json").read_text(encoding="utf-8")
        assert (KEY in text, MAIL in text, "[email]" in text) == (False, False, True)
        assert re.findall(r"call_\d|tool_call_id|timestamp|run_id|20\d\d-\d\d", text) == []


def test_a_run_with_the_teams_own_tools_is_replayed(agent_test: Path) -> None:
    replay = Replay.read(agent_test.with_suffix(".json"))

    async def again(instructions: str) -> AgentRun:
        async with replay.open_gateway() as gateway:
            agent = SimpleReActAgent(gateway, [lookup, add, refund], instructions=instructions)
            return await agent.run(replay.question)

    assert asyncio.run(again(replay.instructions)).answer == replay.answer


def test_a_text_with_quotes_and_half_of_an_assignment_is_recorded_as_it_is_asked_again(run: Run) -> None:
    """Between the quotes of JSON, everything up to the next quote would be taken for the token."""
    question = f'\'\'\'"""\\\\n {{"token":"\nIs it {MAIL}\\\'s?\n""" \\'
    done = agent_run(question, call("add", a=1, b=2), f"{question} No.")
    test = written(run, done.interaction_ids[0])
    replay = Replay.read(test.with_suffix(".json"))

    async def again() -> AgentRun:
        async with replay.open_gateway() as gateway:
            agent = SimpleReActAgent(gateway, [lookup, add, refund], instructions=f"Help {MAIL}.")
            return await agent.run(question)

    assert asyncio.run(again()).answer == replay.answer
    assert "Is it [email]" in replay.question
    assert run_pytest(test).returncode == 0


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("instructions=replay.instructions", 'instructions="Be rude."', ["-Help [email].", "+Be rude."]),
        ("agent.run(replay.question)", 'agent.run("Mine?")', ["-Whose is it? I am [email].", "+Mine?"]),
        ("replay.tools()", "replay.tools()[1:]", ['-  "lookup",']),
    ],
)
def test_another_request_fails_and_shows_the_nearest_difference(
    agent_test: Path, before: str, after: str, shown: list[str]
) -> None:
    text = agent_test.read_text(encoding="utf-8")
    assert text.count(before) == 1
    agent_test.write_text(text.replace(before, after), encoding="utf-8")

    result = run_pytest(agent_test)

    assert result.returncode == 1
    assert "this request was not recorded" in result.stdout
    lines = [line.removeprefix("E").strip() for line in result.stdout.splitlines()]
    assert [line for line in shown if line.strip() not in lines] == []


def test_another_observation_fails_and_shows_which(agent_test: Path) -> None:
    data = agent_test.with_suffix(".json")
    recording = json.loads(data.read_text(encoding="utf-8"))
    tool = next(turn for turn in recording["turns"] if turn["role"] == "tool" and turn["text"] == "3")
    text = agent_test.read_text(encoding="utf-8")
    own = "[replay.tools()[0], add, replay.tools()[2]]"
    text = text.replace("replay.tools()", own).replace(
        "import asyncio\n",
        f"import asyncio\n\n\ndef add(a: int, b: int) -> int:\n    '''{add.__doc__}'''\n    return a + b + 1\n\n",
        1,
    )
    agent_test.write_text(text, encoding="utf-8")
    result = run_pytest(agent_test)

    assert tool["tool"] == "add"
    assert result.returncode == 1
    assert re.search(r"^E? +-3$", result.stdout, re.MULTILINE)
    assert re.search(r"^E? +\+4$", result.stdout, re.MULTILINE)


def test_a_reply_that_is_not_asked_for_fails(agent_test: Path) -> None:
    text = agent_test.read_text(encoding="utf-8").replace("Limits(**replay.limits)", "Limits(max_steps=1)")
    agent_test.write_text(text.replace("== replay.answer", '== ""'), encoding="utf-8")
    result = run_pytest(agent_test)

    assert result.returncode == 1
    assert "4 recorded requests were not made" in result.stdout


def test_a_run_that_a_limit_ended_is_replayed(run: Run) -> None:
    limited = agent_run("Whose is it?", *SCRIPT[:2], limits=Limits(max_steps=2))
    assert limited.ended == "max_steps"

    assert run_pytest(written(run, limited.interaction_ids[0])).returncode == 0


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_a_run_that_waited_for_a_person_is_replayed_without_one(run: Run, answer: str) -> None:
    waiting = agent_run("Whose is it?", calls(("add", {"a": 1, "b": 2}), ("refund", {"amount": 5})))
    run("escalations", "answer", waiting.waiting[0], answer)
    done = agent_run(waiting, "Done.")
    assert done.answer == "Done."

    results = [run_pytest(written(run, identity)) for identity in done.interaction_ids]
    assert [result.returncode for result in results] == [0, 0]


def test_a_question_is_replayed_by_the_test_that_was_written(run: Run, look: Any) -> None:
    run("triage", "-", given=f"{BILL}, write to {MAIL}")
    [row] = look(LEDGER, lambda ledger: ledger.interactions(1))
    test = written(run, row.id)
    project = Path(__file__).parents[2] / "example"
    test.write_text(f"import sys\nsys.path.insert(0, {str(project)!r})\n" + test.read_text("utf-8"), encoding="utf-8")

    good = run_pytest(test)
    data = test.with_suffix(".json")
    recorded = data.read_text(encoding="utf-8")
    data.write_text(recorded.replace('"answer": "', '"answer": "x'), encoding="utf-8")
    wrong = run_pytest(test)

    assert MAIL not in recorded
    assert (good.returncode, wrong.returncode) == (0, 1), good.stdout


def test_a_prompt_that_changed_fails_and_shows_the_difference(run: Run, look: Any) -> None:
    prompt = Path("config/prompts/triage.md")
    system = '+++\nsystem = "{}"\n+++\n{}'
    body = prompt.read_text(encoding="utf-8").rpartition("+++\n")[2]
    prompt.write_text(system.format("Be kind.", body), encoding="utf-8")
    run("triage", "-", given=BILL)
    [row] = look(LEDGER, lambda ledger: ledger.interactions(1))
    replay = Replay.read(written(run, row.id).with_suffix(".json"))

    assert asyncio.run(replay.ask()) == replay.answer
    prompt.write_text(system.format("Be rude.", body), encoding="utf-8")
    with pytest.raises(AssertionError, match=r"(?s)-Be kind\..*\+Be rude\."):
        asyncio.run(Replay.read(next(Path("tests/functional").glob("*.json"))).ask())


def test_without_the_module_that_replays_no_test_is_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = agent_run("?", "done").interaction_ids[0]
    monkeypatch.setitem(sys.modules, "ai_base.testing.replay", None)
    result = run("replay", identity, "--as-test")

    assert (result.exit_code, "ai_base.testing.replay" in result.stderr) == (1, True)
    assert not Path("tests").exists()


def test_a_test_is_never_overwritten_and_what_cannot_be_replayed_is_an_error(run: Run, look: Any) -> None:
    identity = agent_run("?", "done").interaction_ids[0]
    written(run, identity)

    async def store(ledger: Any) -> None:
        await ledger.record(Interaction("a" * 32, now()))
        await ledger.record(Interaction("b" * 32, now(), "triage", "version", source="fallback", response="x"))

    look(LEDGER, store)

    assert "delete it first" in run("replay", identity, "--as-test").stderr
    assert "run of SimpleReActAgent" in run("replay", "aa", "--as-test").stderr
    assert f"{'b' * 32} has no " in run("replay", "bb", "--as-test").stderr
