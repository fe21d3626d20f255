"""An agent's instructions are a prompt file like any other: versioned, live, with settings. How a run is reported."""

from pathlib import Path
from typing import Any

import pytest
import typer
from agent_cases import call, search

from ai_base.agent import SimpleReActAgent
from ai_base.agent.report import report_run
from ai_base.llm.errors import PromptVariableError
from ai_base.testing.doubles import ScriptedModel


def write(prompts: Path, text: str, settings: str = "") -> None:
    (prompts / "helper.md").write_text(f"+++\n{settings}\n+++\n{text}\n", encoding="utf-8")


async def test_a_prompt_file_gives_an_agent_instructions_settings_name_and_version(
    open_gateway: Any, prompts: Path
) -> None:
    write(prompts, "Be brief.", 'temperature = 0.3\nmax_output_tokens = 77\nchain = "strong"\nsystem = "Be kind."')
    strong = ScriptedModel(call("search", query="x"), "done")
    async with open_gateway(main=ScriptedModel(), strong=strong) as gateway:
        await SimpleReActAgent(gateway, [search], instructions=gateway.prompts["helper"]).run("?")
        [row] = await gateway.ledger.interactions(10)

        assert strong.prompts[0].startswith("Be kind.\n\nBe brief.\n\n?")
        sent = [(asked.settings["temperature"], asked.settings["max_tokens"]) for asked in strong.requests]  # type: ignore[index]
        assert sent == [(0.3, 77)] * 2
        assert (row.prompt, row.prompt_version) == ("helper", gateway.prompts["helper"].version)


async def test_an_edit_of_the_prompt_file_is_used_by_the_next_agent(open_gateway: Any, prompts: Path) -> None:
    script = ScriptedModel("one", "two")
    write(prompts, "Be brief.")
    async with open_gateway(main=script) as gateway:
        await SimpleReActAgent(gateway, instructions=gateway.prompts["helper"]).run("?")
        write(prompts, "Be wordy, please.")
        await SimpleReActAgent(gateway, instructions=gateway.prompts["helper"]).run("?")
        versions = {row.prompt_version for row in await gateway.ledger.interactions(10)}

    assert ["wordy" in prompt for prompt in script.prompts] == [False, True]
    assert len(versions) == 2


async def test_instructions_with_variables_are_refused(open_gateway: Any, prompts: Path) -> None:
    write(prompts, "Be {{ how }}.")
    async with open_gateway() as gateway:
        with pytest.raises(PromptVariableError, match="how"):
            SimpleReActAgent(gateway, instructions=gateway.prompts["helper"])


async def test_a_run_is_reported_with_its_steps_and_an_exit_code(
    open_gateway: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def refund(amount: int) -> int:
        """Pay money back."""
        return amount

    script = ScriptedModel(call("search", query="x"), "The answer.", "", call("refund", amount=5))
    async with open_gateway(main=script) as gateway:
        agent = SimpleReActAgent(gateway, [search], needs_approval=[refund])
        runs = [await agent.run("?") for _ in range(3)]
    capsys.readouterr()
    codes = []
    for run in runs[1:]:
        with pytest.raises(typer.Exit) as ended:
            report_run(run)
        codes.append(ended.value.exit_code)
    failed = capsys.readouterr()
    report_run(runs[0])
    answered = capsys.readouterr()

    assert (codes, failed.out) == ([3, 4], "")
    assert "No answer; the run ended with: failed. InvalidOutputError" in failed.err
    assert answered.out == "The answer.\n"
    assert "search(" in answered.err
