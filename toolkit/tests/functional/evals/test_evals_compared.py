"""Another revision, drift, and the page."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from eval_cases import NUMBER, PROMPT, Eval, answer, cases, rows, write

from ai_base.llm.ledger.ledger import Ledger
from ai_base.testing.loopback import LoopbackProvider, Reply


def test_the_prompts_of_a_revision_are_compared_with_todays(accepted: Eval, provider: LoopbackProvider) -> None:
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    for words in (["init", "--quiet"], ["add", "config", "evals"], ["commit", "--quiet", "--message", "then"]):
        subprocess.run([*git, *words], check=True)
    write("config/prompts/triage.md", f"Quickly! {PROMPT}")
    provider.behaviour = lambda body: answer(body, **({"category": "other"} if "Quickly" in str(body) else {}))
    accepted("eval", "--record", expect=1)
    asked = provider.count

    recorded = accepted("eval", "--from", "HEAD", expect=1)
    live = accepted("eval", "--from", "HEAD", "--live", expect=1)
    unknown = accepted("eval", "--from", "nowhere", "--live", expect=1)

    then_and_now = ["category", "1.00", "0.00", "20", "0", "0.000", "worse"]
    assert then_and_now in rows(recorded)
    assert then_and_now in rows(live)
    assert provider.count - asked == 2 * NUMBER
    assert "FROM=nowhere: " in unknown.stderr


def test_drift_tells_what_moved(accepted: Eval, provider: LoopbackProvider) -> None:
    assert accepted("drift", "--limit", "10").stdout == "triage: nothing moved in 10 cases\n"

    def moved(body: dict[str, Any]) -> Reply:
        long = " ".join(["It", *["really"] * 30, "crashes."])
        return answer(body, summary=long, category="other")

    provider.behaviour = moved
    result = accepted("drift", "--limit", "10", expect=1)

    assert "triage: replies got longer: " in result.stdout
    assert "triage: category fell from 1.00 to 0.00: 10 cases are worse" in result.stdout


def test_drift_tells_another_model_and_another_schema(accepted: Eval, provider: LoopbackProvider) -> None:
    reply: dict[str, Any] = {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "{}"}, "finish_reason": "stop"}]
    }
    reply |= {"id": "x", "object": "chat.completion", "created": 1, "model": "small-2026-11-25"}
    reply |= {"usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}}
    provider.behaviour = Reply(raw=json.dumps(reply))

    result = accepted("drift", expect=1)

    assert "triage: the model is small-2026-11-25, and was small" in result.stdout
    assert "triage: valid fell from 1.00 to 0.00: 20 cases are worse" in result.stdout


def test_the_ledger_is_not_touched_by_recorded_runs(accepted: Eval, look: Any) -> None:
    async def calls(ledger: Ledger) -> int:
        return len(await ledger.interactions(1000))

    before = look(f"sqlite:///{Path.cwd()}/ledger.db", calls)
    accepted("eval")

    assert look(f"sqlite:///{Path.cwd()}/ledger.db", calls) == before


SCRIPT = "<script>alert('owned')</script>"


def test_the_page_shows_both_answers_and_escapes_what_models_say(accepted: Eval, provider: LoopbackProvider) -> None:
    config = Path("config/llm.toml")
    config.write_text(f'{config.read_text()}[output]\nhtml = "keep"\n')
    write("evals/triage/cases.jsonl", cases().replace("case-3", f"case {SCRIPT}"))
    accepted("eval", "--record", "--accept")
    write("config/prompts/triage.md", f"Slowly! {PROMPT}")
    provider.behaviour = lambda body: answer(body, category="other", summary=SCRIPT)

    accepted("eval", "--record", "--html", "eval.html", expect=1)

    page = Path("eval.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "Worse: 20 cases" in page
    assert "<mark>billing</mark>" in page
    assert "<mark>other</mark>" in page
    assert "category 1.00 → 0.00" in page
    assert "prefers-color-scheme: dark" in page
    assert re.findall(r"(?:src|href)=|@import|url\(", page) == []
