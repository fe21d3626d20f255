"""An agent: a model, its tools, and the limits of its runs."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Unpack

from ai_base.agent.limits import Limits
from ai_base.agent.loop import Loop
from ai_base.agent.run import Run
from ai_base.agent.tools import Function, Toolbox
from ai_base.llm.configuration.prompts import Prompt
from ai_base.llm.errors import LLMError, RefusedError
from ai_base.llm.gateway.gateway import Gateway
from ai_base.llm.gateway.question import model_settings
from ai_base.llm.interaction import Attribution
from ai_base.llm.ledger.records import Step, storable
from ai_base.text.scrub import scrub


class SimpleReActAgent:
    """Answers questions with tools. Every model request goes through the gateway, and a run is one interaction."""

    def __init__(  # noqa: PLR0913
        self,
        gateway: Gateway,
        tools: Sequence[Function] = (),
        *,
        needs_approval: Sequence[Function] = (),
        instructions: str | Prompt = "",
        limits: Limits = Limits(),  # noqa: B008 - frozen
        chain: str = "",
        name: str = "",
    ) -> None:
        """Describe the agent.

        Args:
            gateway: Asks the models.
            tools: Typed functions, sync or async. The model sees their names, hints and docstrings.
            needs_approval: Further tools, each call of which a person has to approve.
            instructions: The system prompt: a text, or a prompt file without variables, such as
                `gateway.prompts["assistant"]`, whose settings hold for each request.
            limits: What one run may do.
            chain: The chain to ask; by default the prompt file's, or `default`.
            name: Stands in the ledger where a question has its prompt's name; by default the prompt file's, or `agent`.

        Raises:
            ValueError: Two tools have the same name, or one takes a `RunContext`.
            ConfigError: There is no such chain.
            PromptVariableError: The prompt file has variables.
        """
        self.gateway, self.limits = gateway, limits
        self.toolbox = Toolbox(tools, needs_approval, limits.observation_characters)
        prompt = instructions if isinstance(instructions, Prompt) else None
        self.instructions = f"{prompt.settings.system}\n\n{prompt.render({})}".strip() if prompt else str(instructions)
        self.settings = model_settings(prompt) if prompt else None
        self.prompt_version = prompt.version if prompt else ""
        self.name = name or (prompt.name if prompt else "agent")
        self.model = gateway.model(chain or (prompt.settings.chain if prompt else "default"))

    async def run(
        self,
        question: str | Run,
        *,
        on_step: Callable[[Step], None] | None = None,
        **attribution: Unpack[Attribution],
    ) -> Run:
        """Answer a question, or resume a run; return the run, whose `ended` says why it ended.

        Args:
            question: A text; or a run, which goes on where it ended, for example after a person's approval.
            on_step: Called with each step when it is complete.
            attribution: As for `Gateway.ask`.
        """
        run = question if isinstance(question, Run) else Run(question=str(storable(question)))
        if run.ended == "answer":
            return run
        run.ended, run.error, run.waiting = "", "", []
        started = time.monotonic()
        left = None if self.limits.seconds is None else self.limits.seconds - run.seconds
        if left is not None and left <= 0:
            run.ended = "seconds"
            return run
        try:
            async with self.gateway.interaction(self.name, deadline=left, **attribution) as call:
                run.ended = await Loop(self, run, call, on_step).run()
                call.row.error = "" if run.ended == "answer" else f"ended: {run.ended}"
        except LLMError as error:
            run.ended = "refused" if isinstance(error, RefusedError) else "failed"
            run.error = scrub(f"{type(error).__name__}: {error}")
        finally:
            run.seconds += time.monotonic() - started
        return run

    async def stream(self, question: str | Run, **attribution: Unpack[Attribution]) -> AsyncGenerator[Step]:
        """Yield the steps of `run` as they happen. To keep the run, pass one: `Run(question=...)`."""
        steps: asyncio.Queue[Step | None] = asyncio.Queue()
        task = asyncio.create_task(self.run(question, on_step=steps.put_nowait, **attribution))
        task.add_done_callback(lambda _: steps.put_nowait(None))
        try:
            while (step := await steps.get()) is not None:
                yield step
            await task
        finally:
            task.cancel()
            await asyncio.wait([task])
