"""What one step of an agent costs on top of a guarded model call, next to a step of langgraph's agent.

A step is one model request and one tool call. The models answer at once, so that only the frameworks' own work counts:
CPU time of this process, the median of several runs that take turns. The guarded calls send the very conversation that
the agent sends. langgraph needs a Python of its own:

    python benchmarks/agent.py --peer /path/to/venv/bin/python
"""

import argparse
import asyncio
import json
import logging
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.function import AgentInfo, FunctionModel

from ai_base.agent import Limits, SimpleReActAgent
from ai_base.llm import Gateway

GOAL_MS = 1.0
GOAL_SHARE = 1 / 3
CONFIG = {
    "candidates": {"main": {"model": "openai-chat:fake", "price": {"input": "1", "output": "2"}}},
    "chains": {"default": ["main"]},
    "budgets": {"unlimited": True, "interaction": {"calls": 1_000_000}},
    "input": {"max_bytes": 10_000_000},
}

PEER = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.prebuilt import create_react_agent

steps, runs = int(sys.argv[1]), int(sys.argv[2])

class Fake(BaseChatModel):
    @property
    def _llm_type(self): return "fake"
    def bind_tools(self, tools, **options): return self
    def _generate(self, messages, stop=None, run_manager=None, **options):
        asked = sum(isinstance(each, AIMessage) for each in messages)
        calls = [{"name": "add", "args": {"a": asked, "b": 1}, "id": f"call_{asked}"}] if asked < steps else []
        message = AIMessage(content="" if calls else "done", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=message)])
    async def _agenerate(self, messages, stop=None, run_manager=None, **options):
        return self._generate(messages)

async def add(a: int, b: int) -> int:
    "Add two numbers."
    return a + b

async def main():
    agent = create_react_agent(Fake(), [add])
    measured = []
    for _ in range(runs + 1):
        started = time.process_time()
        state = await agent.ainvoke({"messages": [HumanMessage("?")]}, {"recursion_limit": 10 * steps})
        measured.append((time.process_time() - started) / steps * 1000)
        assert state["messages"][-1].content == "done"
    print(json.dumps(measured[1:]))

import asyncio
asyncio.run(main())
"""


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def fake_model(steps: int) -> FunctionModel:
    """Return a model that calls the tool so many times and then answers."""

    def respond(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        asked = sum(isinstance(message, ModelResponse) for message in messages)
        call = ToolCallPart("add", json.dumps({"a": asked, "b": 1}), tool_call_id=f"call_{asked}")
        return ModelResponse([call if asked < steps else TextPart("done")])

    return FunctionModel(respond, model_name="fake")


async def measure(steps: int, runs: int) -> dict[str, list[float]]:
    """Return milliseconds of CPU a step: of guarded calls alone, and of the agent."""
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"config": CONFIG, "prompts": folder, "database_url": f"sqlite:///{folder}/ledger.db"}
        async with Gateway.open(models={"main": fake_model(steps)}, **options) as gateway:
            limits = Limits(max_steps=steps + 1, max_tool_calls=steps)
            agent = SimpleReActAgent(gateway, [add], limits=limits)
            conversation = (await agent.run("?")).messages
            parameters, model = ModelRequestParameters(function_tools=agent.toolbox.definitions), gateway.model()

            async def guarded() -> None:
                async with gateway.interaction("guarded"):
                    for end in range(1, len(conversation), 2):
                        await model.request(conversation[:end], None, parameters)

            async def run() -> None:
                answered = await agent.run("?")
                if answered.answer != "done" or answered.tool_calls != steps:
                    raise RuntimeError(f"the run ended early: {answered.ended} {answered.error}")

            works: dict[str, Callable[[], Awaitable[None]]] = {"guarded": guarded, "agent": run}
            measured: dict[str, list[float]] = {name: [] for name in works}
            for _ in range(runs):
                for name, work in works.items():
                    started = time.process_time()
                    await work()
                    measured[name].append((time.process_time() - started) / steps * 1000)
    return measured


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--peer", type=Path, help="A Python that has langgraph.")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    measured = asyncio.run(measure(given.steps, given.runs))
    guarded, agent = (statistics.median(measured[name]) for name in ("guarded", "agent"))
    pairs = zip(measured["agent"], measured["guarded"], strict=True)
    loop = statistics.median(one - other for one, other in pairs)
    print(f"CPU milliseconds a step, {given.steps} steps, median of {given.runs} runs")
    print(f"  guarded call alone           {guarded:6.2f}")
    print(f"  SimpleReActAgent, guarded    {agent:6.2f}")
    print(f"  the agent's own part         {loop:6.2f}   goal: at most {GOAL_MS:.2f}: {_verdict(loop <= GOAL_MS)}")
    if given.peer:
        command = [given.peer, "-c", PEER, str(given.steps), str(given.runs)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        peer = statistics.median(json.loads(output.splitlines()[-1]))
        share = loop / peer
        print(f"  langgraph, nothing guarded   {peer:6.2f}")
        verdict = _verdict(share <= GOAL_SHARE)
        print(f"  share of langgraph's step    {share:6.2f}   goal: at most {GOAL_SHARE:.2f}: {verdict}")


def _verdict(reached: bool) -> str:  # noqa: FBT001 - the outcome of a comparison
    return "reached" if reached else "missed"


if __name__ == "__main__":
    main()
