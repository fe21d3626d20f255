"""A recording of an interaction, made from the ledger, and the test that replays it.

A recording is a conversation in turns, without ids and times. Every text in it is scrubbed. Not recorded, and so not
replayable: replies that were refused or invalid, and the conversations of agents other than `SimpleReActAgent`.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal

import structlog
from pydantic import AfterValidator, BaseModel, TypeAdapter

from ai_base.llm.configuration.prompts import Prompts
from ai_base.llm.errors import LLMError
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import Interaction, Step
from ai_base.text.scrub import scrub

log = structlog.get_logger(__name__)

ANSWERED = ("ok", "failed", "denied")

type Scrubbed = Annotated[str, AfterValidator(scrub)]
"""Each text by itself: between the quotes of JSON it would be scrubbed otherwise than when it is asked again."""


class ToolCall(BaseModel):
    """A call that the model made."""

    tool: Scrubbed
    arguments: Scrubbed
    """As the model wrote them: JSON, unless it made a mistake."""


class Turn(BaseModel):
    """A part of the conversation. The turns of the model are its replies to everything before them."""

    role: Literal["tools", "prompt", "system", "user", "model", "tool"]
    text: Scrubbed = ""
    tool: Scrubbed = ""
    """Whose result it is, for the role `tool`."""
    calls: list[ToolCall] = []


class Recording(BaseModel):
    """What an interaction asked, and what it was answered."""

    kind: Literal["question", "agent"]
    prompt: str
    chain: str = ""
    output_type: str = ""
    answer: Scrubbed
    turns: list[Turn]


async def record(ledger: Ledger, interaction_id: str, prompts: Prompts) -> tuple[str, Recording]:
    """Return the whole id of an interaction, and its recording. An unambiguous beginning of the id is enough.

    Raises:
        LLMError: There is no such interaction, or nothing in it to replay.
    """
    row, _ = await ledger.interaction(interaction_id)
    if steps := await ledger.steps(row.id):
        return row.id, _record_run(row, steps)
    if not row.prompt_version:
        raise LLMError(f"{row.id} is neither a question nor a run of SimpleReActAgent; other calls cannot be replayed")
    if row.source not in ("model", "cache") or not row.response:
        raise LLMError(f"{row.id} has no model's answer to replay")
    return row.id, _record_question(row, prompts)


def write_test(identity: str, recording: Recording, folder: Path) -> Path:
    """Write the test and, beside it, the recording; return the path of the test.

    Raises:
        LLMError: One of the files exists.
    """
    name = f"test_replay_{identity[:16]}"
    test, data = folder / f"{name}.py", folder / f"{name}.json"
    for path in (test, data):
        if path.exists():
            raise LLMError(f"{path} exists; delete it first")
    template = AGENT_TEST if recording.kind == "agent" else QUESTION_TEST
    folder.mkdir(parents=True, exist_ok=True)
    data.write_text(recording.model_dump_json(indent=2, exclude_defaults=True) + "\n", encoding="utf-8")
    test.write_text(template.format(identity=identity, name=name), encoding="utf-8")
    return test


def _record_question(row: Interaction, prompts: Prompts) -> Recording:
    prompt = prompts[row.prompt]
    if prompt.version != row.prompt_version:
        log.warning("llm prompt has changed since", prompt=row.prompt, recorded=row.prompt_version, now=prompt.version)
    system = [Turn(role="system", text=prompt.settings.system)] if prompt.settings.system else []
    turns = [*system, Turn(role="user", text=row.request), Turn(role="model", text=row.response)]
    names = {"prompt": row.prompt, "chain": row.chain, "output_type": row.output_type}
    return Recording(kind="question", **names, answer=row.response, turns=turns)


def _record_run(row: Interaction, steps: Sequence[Step]) -> Recording:
    answer = next((step.observation for step in steps if step.outcome == "answer"), "")
    return Recording(kind="agent", prompt=row.prompt, answer=answer, turns=list(_turns_of_run(steps)))


def _turns_of_run(steps: Sequence[Step]) -> Iterator[Turn]:
    for request, group in groupby(steps, key=lambda step: step.request):
        same_response = list(group)
        first = same_response[0]
        if not request:
            if TypeAdapter(list[object]).validate_json(first.arguments):
                yield Turn(role="tools", text=first.arguments)
            if first.thought:
                yield Turn(role="system", text=first.thought)
            yield Turn(role="user", text=first.observation)
        elif first.outcome == "answer":
            yield Turn(role="model", text=first.observation)
        else:
            calls = {step.position: ToolCall(tool=step.tool, arguments=step.arguments) for step in same_response}
            yield Turn(role="model", text=first.thought, calls=[calls[position] for position in sorted(calls)])
            for step in sorted(same_response, key=lambda step: step.position):
                if step.outcome in ANSWERED:  # a call that waited has another step for its result
                    yield Turn(role="tool", tool=step.tool, text=step.observation)


QUESTION_TEST = '''"""Replays interaction {identity}, as the ledger has it, with today's configuration and code."""

import asyncio
from pathlib import Path

from ai_base.testing.replay import Replay


def {name}() -> None:
    replay = Replay.read(Path(__file__).with_suffix(".json"))

    # To test your own code, give it `async with replay.open_gateway() as gateway` in place of `replay.ask()`.
    assert asyncio.run(replay.ask()) == replay.answer
'''

AGENT_TEST = '''"""Replays the agent's run of interaction {identity}, as the ledger has it, with today's code."""

import asyncio
from pathlib import Path

from ai_base.agent import Limits, SimpleReActAgent
from ai_base.testing.replay import Replay


def {name}() -> None:
    replay = Replay.read(Path(__file__).with_suffix(".json"))

    async def run() -> str:
        async with replay.open_gateway() as gateway:
            # These tools return what was recorded. To test your own tools, put them in their place.
            tools, limits = replay.tools(), Limits(**replay.limits)
            agent = SimpleReActAgent(gateway, tools, instructions=replay.instructions, limits=limits)
            return (await agent.run(replay.question)).answer

    assert asyncio.run(run()) == replay.answer
'''
