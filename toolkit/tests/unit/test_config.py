"""A configuration is validated: a mistake is named with its line or variable, and the environment has precedence."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from ai_base.llm.configuration.parse import parse_config
from ai_base.llm.errors import ConfigError

ROOT = Path(__file__).parents[1] / "example"
SHIPPED = (ROOT / "config" / "llm.toml").read_text(encoding="utf-8")
SOUND = """\
[candidates.main]
model = "offline:"
timeout = 20

[chains]
default = ["main"]

[budgets]
overall = { day = "20" }
"""


def test_the_shipped_configuration_is_sound() -> None:
    config = parse_config(SHIPPED)

    assert config.chains == {"default": ["main"]}
    assert config.budgets.interaction.dollars == Decimal("0.50")
    assert config.budgets.cost_centers["support"].day == 5


def test_the_examples_in_the_shipped_configuration_are_sound() -> None:
    """Each commented candidate names a model whose price is known, or gives one."""
    lines = SHIPPED.replace('[candidates.main]\nmodel = "offline:"\n', "").splitlines()
    uncommented = "\n".join(re.sub(r"^# (?=\[|\w+ = )", "", line) for line in lines).replace('"cheap"', '"strong"')

    config = parse_config(uncommented)

    assert sorted(config.candidates) == ["backup", "main", "own", "strong"]
    assert config.escalation.chain == "strong"
    assert config.budgets.each_user.day == 2
    assert not config.budgets.enforce


@pytest.mark.parametrize(
    ("edit", "where", "reason"),
    [
        (("timeout = 20", "timeout = twenty"), "llm.toml:3", "Invalid value"),
        (("timeout = 20", "timeout = -1"), "llm.toml:3", "candidates.main.timeout: Input should be greater than 0"),
        (("timeout = 20", "time_out = 20"), "llm.toml:3", "candidates.main.time_out: no such key"),
        (('["main"]', '["man"]'), "llm.toml:6", "no candidate is called man"),
        (('default = ["main"]', 'other = ["main"]'), "llm.toml:5", "one of them must be called default"),
        (('overall = { day = "20" }', 'each_user = { day = "1" }'), "llm.toml:8", "budgets: `overall` has no cap"),
        (("[budgets]", "[budgets]\nsoft_landing = {at=0.9, chain='x'}"), "llm.toml:9", "no chain is called x"),
        (('"20"', '"a lot"'), "llm.toml:9", "budgets.overall.day: Input should be a valid decimal"),
        (('"20"', '"-1"'), "llm.toml:9", "greater than or equal to 0"),
        (('"20"', '"inf"'), "llm.toml:9", "finite"),
        (("offline:", "openai:no-such-model"), "llm.toml:1", "openai:no-such-model is not known; correct the name"),
        (("offline:", "no-provider"), "llm.toml:2", "candidates.main.model: String should match pattern"),
        (("[chains]", "[chains"), "llm.toml:5", "Expected ']'"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_reason(edit: tuple[str, str], where: str, reason: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(SOUND.replace(*edit), "llm.toml")

    assert error.value.where == where
    assert reason in error.value.reason


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM__BUDGETS__OVERALL__DAY", "5")
    monkeypatch.setenv("LLM__CANDIDATES__MAIN__TIMEOUT", "7")

    config = parse_config(SOUND)

    assert config.budgets.overall.day == 5
    assert config.candidates["main"].timeout == 7
    assert config.candidates["main"].model == "offline:"


def test_dot_env_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_BASE_ENV_FILE", str(tmp_path / ".env"))
    (tmp_path / ".env").write_text("LLM__BUDGETS__OVERALL__DAY=6\nOPENAI_API_KEY=x\n", encoding="utf-8")

    assert parse_config(SOUND).budgets.overall.day == 6


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM__BUDGETS__OVERALL__DAYS", "5")

    with pytest.raises(ConfigError, match=r"budgets\.overall\.days: no such key"):
        parse_config(SOUND)


def test_a_misspelt_table_in_a_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM__BUDGET__OVERALL__DAY", "5")

    with pytest.raises(ConfigError, match=r"LLM__BUDGET__OVERALL__DAY: there is no such setting"):
        parse_config(SOUND)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("LLM__BUDGETS__OVERALL__DAY", "much"), ("LLM__BUDGETS__OVERALL", '{"day": "much"}'), ("LLM__BUDGET__DAY", "5")],
)
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_mistake_in_a_variable_names_the_variable_and_where_it_is_set(
    variable: str, value: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "environment":
        monkeypatch.setenv(variable, value)
    else:
        monkeypatch.setenv("AI_BASE_ENV_FILE", str(tmp_path / ".env"))
        (tmp_path / ".env").write_text(f"{variable}={value}\n", encoding="utf-8")

    with pytest.raises(ConfigError) as error:
        parse_config(SOUND, "llm.toml")

    assert error.value.where == (variable if place == "environment" else f"{variable} in {tmp_path / '.env'}")


@pytest.mark.parametrize("line", ['api_key = "7f3c9a1b"', 'api_key_env = "7f3c9a1b"'])
def test_a_key_in_the_file_is_refused_and_not_shown(line: str) -> None:
    with pytest.raises(ConfigError, match="api_key") as error:
        parse_config(SOUND.replace("timeout = 20", line))

    assert "7f3c" not in str(error.value)


def test_a_file_that_was_cut_off_before_its_caps_is_refused() -> None:
    """A half-written file must not lift the caps; only a file that says so has none."""
    lines = SOUND.splitlines(keepends=True)
    for count in range(len(lines)):
        with pytest.raises(ConfigError):
            parse_config("".join(lines[:count]))

    assert parse_config("".join(lines[:-1]) + "unlimited = true").budgets.overall.day is None


def test_a_price_in_the_file_makes_an_unknown_model_usable() -> None:
    edited = SOUND.replace('"offline:"', '"openai-chat:ours"\nprice = { input = "0.10", output = "0.40" }')

    price = parse_config(edited).candidates["main"].price

    assert price is not None
    assert (price.input, price.output) == (Decimal("0.10"), Decimal("0.40"))


@pytest.mark.parametrize("text", ['_cli_parse_args = ["--retry.attempts=9"]\n', "x = " + "[" * 5000])
def test_a_file_cannot_change_the_parsers_options_or_exhaust_it(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_config(text + SOUND)
