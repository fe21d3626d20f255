"""An edit of the configuration or of a prompt is used by the next call."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from gateway_cases import ASK, answered
from pydantic_ai import Agent
from structlog.testing import capture_logs

from ai_base.testing.doubles import RuleModel, ScriptedModel


async def test_an_edit_of_configuration_or_prompt_is_used_by_the_next_call(open_gateway: Any, prompts: Path) -> None:
    file = prompts.parent / "llm.toml"
    text = (
        "[candidates.a]\nmodel = 'offline:'\n[candidates.b]\nmodel = 'offline:'\n"
        "[chains]\ndefault = ['a']\n[budgets]\noverall = { day = '1' }\n"
    )
    file.write_text(text, encoding="utf-8")
    models = {"a": RuleModel({"(?s).*": answered("from a")}), "b": RuleModel({"(?s).*": answered("from b")})}
    async with open_gateway(config=file, **models) as gateway:
        first = await gateway.ask(*ASK)
        file.write_text(text.replace("['a']", "['b']"), encoding="utf-8")
        second = await gateway.ask(*ASK)
        file.write_text(text.replace("['a']", "['c']"), encoding="utf-8")
        with capture_logs() as logs:
            third = await gateway.ask(*ASK)
        version = (await gateway.ledger.interaction(third.interaction_id))[0].prompt_version
        (prompts / "plain.md").write_text("Edited.", encoding="utf-8")
        edited = await gateway.ask("plain", {})
        row, _ = await gateway.ledger.interaction(edited.interaction_id)

    assert [first.output, second.output, third.output] == ["from a", "from b", "from b"]
    [refusal] = [line for line in logs if line["log_level"] == "error"]
    assert refusal["where"] == f"{file}:6"
    assert row.request == "Edited."
    assert row.prompt_version != version


async def test_an_agents_model_follows_the_configuration_too(open_gateway: Any, prompts: Path) -> None:
    file = prompts.parent / "llm.toml"
    text = (
        "[candidates.a]\nmodel='offline:'\n[candidates.b]\nmodel='offline:'\n"
        "[chains]\ndefault=['a']\n[budgets]\nunlimited=true\n"
    )
    file.write_text(text, encoding="utf-8")
    models = {"a": RuleModel({".*": answered("from a")}), "b": RuleModel({".*": answered("from b")})}
    async with open_gateway(config=file, **models) as gateway:
        agent = Agent(gateway.model())
        first = await agent.run("hello")
        file.write_text(text.replace("['a']", "['b']"), encoding="utf-8")
        second = await agent.run("hello")

    assert (first.output, second.output) == ("from a", "from b")


async def test_a_stronger_chain_that_is_gone_costs_no_answer(open_gateway: Any, prompts: Path) -> None:
    file = prompts.parent / "llm.toml"
    text = "[candidates.a]\nmodel='offline:'\n[chains]\ndefault=['a']\n[budgets]\nunlimited=true\n"

    def edit(_: object) -> str:
        file.write_text(text, encoding="utf-8")
        return "unsure"

    whole = text.replace("default=['a']", "default=['a']\nstrong=['a']") + "[escalation]\nchain='strong'\n"
    file.write_text(whole, encoding="utf-8")
    async with open_gateway(config=file, a=ScriptedModel(edit)) as gateway:
        answer = await gateway.ask(*ASK, confidence=lambda _: Decimal("0.1"))

    assert (answer.output, answer.source, answer.confidence) == ("unsure", "model", 0.1)
