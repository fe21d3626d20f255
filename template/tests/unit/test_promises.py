"""What this project promises, read from its own configuration and prompts."""

import io
import logging
import socket

import pytest
from ai_base.llm import BudgetExceededError, Gateway
from ai_base.llm.configuration.prices import price_of
from ai_base.llm.configuration.project_files import load_config, load_prompts
from ai_base.llm.configuration.prompts import Prompt
from ai_base.logging import configure_logging
from ai_base.testing.doubles import ScriptedModel
from ai_base.testing.pytest_plugin import NetworkUseError, Tripwire

CONFIG = load_config()
PROMPTS = load_prompts()

# A chain with one candidate has nobody to fall back to. Say why that is acceptable.
WITHOUT_FALLBACK = {"default": "the offline model asks nobody, so it cannot fail"}


@pytest.mark.parametrize("chain", CONFIG.chains)
def test_a_chain_can_fall_back_or_says_why_not(chain: str) -> None:
    assert len(CONFIG.chains[chain]) > 1 or WITHOUT_FALLBACK.get(chain)


@pytest.mark.parametrize("candidate", CONFIG.candidates)
def test_a_candidate_has_a_price(candidate: str) -> None:
    assert price_of(CONFIG.candidates[candidate].model, CONFIG.candidates[candidate].price) is not None


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.name)
async def test_a_call_beyond_a_cap_is_refused_and_nothing_is_sent(
    prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CONFIG.candidates:  # so dear that one call is more than any cap allows
        monkeypatch.setenv(f"LLM__CANDIDATES__{name.upper()}__PRICE", '{"input": "1000000", "output": "1000000"}')
    models = {name: ScriptedModel() for name in CONFIG.candidates}

    async with Gateway.open(models=models) as gateway:
        with pytest.raises(BudgetExceededError):
            await gateway.ask(prompt.name, dict.fromkeys(prompt.variables, "x"))

    assert [model.requests for model in models.values() if model.requests] == []


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.name)
def test_a_prompt_renders_and_names_a_chain(prompt: Prompt) -> None:
    assert prompt.render(dict.fromkeys(prompt.variables, "x"))
    assert prompt.settings.chain in CONFIG.chains


@pytest.mark.usefixtures("own_logging")
def test_a_log_line_holds_no_address() -> None:
    stream = io.StringIO()
    configure_logging("INFO", "json", stream)

    logging.getLogger("any.library").warning("user %s failed", "ada@example.com")

    assert "ada" not in stream.getvalue()
    assert "[email]" in stream.getvalue()


def test_no_test_reaches_the_network(network_tripwire: Tripwire) -> None:
    with pytest.raises(NetworkUseError):
        socket.create_connection(("192.0.2.1", 443), timeout=1)
    network_tripwire.forgive()
