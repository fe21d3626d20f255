"""Guards follow the configuration: a changed candidate gets a new one, and none is made without a price."""

from typing import Any, cast

import pytest

from ai_base.llm.candidates.chain import Candidates
from ai_base.llm.configuration.config import Candidate, Config
from ai_base.llm.configuration.parse import parse_config
from ai_base.llm.errors import UnpricedModelError
from ai_base.testing.doubles import ScriptedModel

PRICED: dict[str, Any] = {"model": "openai-chat:ours", "price": {"input": "1", "output": "2"}}


def config(**candidate: Any) -> Config:
    return parse_config(
        {
            "candidates": {"main": PRICED | candidate, "other": PRICED},
            "chains": {"default": ["main", "other"]},
            "budgets": {"unlimited": True},
        }
    )


@pytest.fixture
def current() -> list[Config]:
    """The configuration that is in force is the last."""
    return [config()]


@pytest.fixture
def candidates(current: list[Config]) -> Candidates:
    doubles = {"main": ScriptedModel(), "other": ScriptedModel()}
    return Candidates(lambda: current[-1], cast("Any", None), cast("Any", None), doubles)


def test_an_edit_of_a_candidate_rebuilds_its_guard_and_no_other(candidates: Candidates, current: list[Config]) -> None:
    [main, other] = candidates.chain("default")
    main.breaker.take_out("why")
    current.append(config(concurrency=7))

    [edited, same] = candidates.chain("default")

    assert same is other
    assert edited is not main
    assert (edited.breaker.state, edited.limiter.concurrency) == ("closed", 7)


def test_an_edit_of_something_else_rebuilds_no_guard(candidates: Candidates, current: list[Config]) -> None:
    before = candidates.chain("default")
    current.append(config().model_copy(update={"breaker": config().breaker.model_copy(update={"failures": 2})}))

    after = candidates.chain("default")

    assert [guard is known for guard, known in zip(after, before, strict=True)] == [True, True]
    assert after[0].breaker.settings.failures == 2


def test_a_model_without_a_price_is_not_called(candidates: Candidates, current: list[Config]) -> None:
    """Not even where the check of the configuration was passed by."""
    unpriced = Candidate(model="openai-chat:nobody-knows-its-price")
    current.append(current[0].model_copy(update={"candidates": {**current[0].candidates, "main": unpriced}}))

    with pytest.raises(UnpricedModelError, match="its price is not known"):
        candidates.chain("default")
