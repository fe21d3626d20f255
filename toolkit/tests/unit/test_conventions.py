"""What holds for the whole: the checklist is true, the errors are one family, no vendor is in the code."""

import inspect
import pkgutil
import re
from pathlib import Path

import pydantic_ai.providers
import pytest
from unplug import Promise, read_promises

from ai_base.llm import errors

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "ai_base"
# They stand in for a provider, or show what happens without the gateway.
DOUBLES = {"provider_errors.py", "doubles.py", "faults.py", "loopback.py", "callers.py"}
# It lists the forms of many vendors' keys, so that none of them reaches a log.
KEY_FORMS = {"secret_patterns.py"}
# Words of this trade, and names of providers as well.
COMMON = {"gateway", "together", "meta"}


@pytest.mark.parametrize("promise", read_promises(), ids=lambda promise: promise.text)
def test_every_file_and_test_on_the_checklist_exists(promise: Promise) -> None:
    file, _, name = promise.test.partition("::")

    assert promise.files
    assert [each for each in promise.files if not (ROOT / each).is_file()] == []
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_the_checklist_holds_every_invariant_and_story() -> None:
    texts = " ".join(promise.text for promise in read_promises())

    assert [number for number in range(1, 12) if f"{number}. " not in texts] == []
    for word in ("MockLLMWithChain", "$72,000", "47 calls", "$3,000", "30 s", "Invalid JSON", "schema", "30 days"):
        assert word in texts


def test_no_provider_is_named_in_the_code() -> None:
    vendors = {module.name for module in pkgutil.iter_modules(pydantic_ai.providers.__path__)} - COMMON
    assert "openai" in vendors
    named = re.compile(rf"\b({'|'.join(vendors)})\b", re.IGNORECASE)

    found = {
        f"{path.name}: {match[0]}"
        for path in SOURCE.rglob("*.py")
        if path.name not in DOUBLES | KEY_FORMS
        for match in named.finditer(path.read_text(encoding="utf-8"))
    }

    assert found == set()


def test_all_errors_are_one_family() -> None:
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass) if each.__module__ == errors.__name__]

    assert len(classes) > 15
    assert [each for each in classes if not issubclass(each, errors.LLMError)] == []
    assert [each for each in classes if not each.__doc__] == []
