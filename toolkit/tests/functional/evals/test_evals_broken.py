"""What teams, models and disks get wrong: files, scorers, revisions, answers."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import eval_cases
import pytest
from eval_cases import FOLDER, NUMBER, PROMPT, TRIAGE, Eval, answer, cases, gate, rows, write
from example_app import Triage
from pydantic_ai import BinaryContent

from ai_base.documents.errors import UnsupportedAnswerError
from ai_base.errors import AIBaseError
from ai_base.evals import EvalError
from ai_base.evals.dataset import EvaluatorContext
from ai_base.llm import Answer, Gateway
from ai_base.testing.loopback import LoopbackProvider
from ai_base.text.reply import parse_reply

BASELINE, CASES, REPLIES = FOLDER / "baseline.json", FOLDER / "cases.jsonl", FOLDER / "replies.jsonl"


def git(*words: str) -> None:
    """Run git as nobody in particular."""
    command = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false", *words]
    subprocess.run(command, check=True, capture_output=True)


# ---- Files ----


def test_cases_of_another_editor_are_read(accepted: Eval) -> None:
    lines = CASES.read_bytes().replace(b"\n", b"\r\n")
    CASES.write_bytes(b"\xef\xbb\xbf" + lines + b"\r\n  \r\n")

    accepted("eval")

    assert gate() == []


def test_a_reply_that_was_cut_off_within_a_character_is_asked_again(accepted: Eval, provider: LoopbackProvider) -> None:
    whole = REPLIES.read_bytes()
    REPLIES.write_bytes(whole[: whole.index(b"Ticket 19")] + "é".encode()[:1])

    accepted("eval", "--record")

    assert provider.count == NUMBER + 1
    assert gate() == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"category": 1.0', '"category": NaN'),
        ('"category": 1.0', '"category": 7'),
        ('"category": 1.0,', ""),
        ('"runs": 1', '"runs": 0'),
        ('"noise": {}', '"noise": {"category": 1e999}'),
        ("{", "<<<<<<< ours\n{"),
    ],
)
def test_a_baseline_that_was_edited_by_hand_hides_nothing(accepted: Eval, old: str, new: str) -> None:
    del accepted
    assert old in BASELINE.read_text()
    BASELINE.write_text(BASELINE.read_text().replace(old, new))

    with pytest.raises(EvalError, match=r"baseline.json.* ACCEPT=1"):
        gate()


def test_a_new_scorer_is_accepted_before_it_gates(accepted: Eval, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRIAGE.evaluators, "new", lambda _: 0.4)

    assert ["new", "0.40", "0.40", "0", "0", "1.000", "same"] in rows(accepted("eval"))
    with pytest.raises(EvalError, match="To accept"):
        gate()
    accepted("eval", "--accept")
    assert gate() == []


# ---- Code and answers ----


@pytest.mark.parametrize("score", [None, float("nan"), 1.01, -1, "good", [1]])
def test_a_score_that_is_no_number_from_0_to_1_is_an_error(
    accepted: Eval, monkeypatch: pytest.MonkeyPatch, score: object
) -> None:
    monkeypatch.setitem(TRIAGE.evaluators, "brief", lambda _: score)

    result = accepted("eval", expect=1)

    assert f"case 'case-0': 'brief' scored {score!r}. A scorer returns a number from 0 to 1" in result.stderr


def test_a_scorer_that_raises_names_its_case_and_nothing_is_lost(
    accepted: Eval, provider: LoopbackProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = provider.count
    with monkeypatch.context() as patch:
        patch.setitem(TRIAGE.evaluators, "brief", lambda case: case.output.gone)
        with pytest.raises(AttributeError) as raised:
            accepted("eval", "--live")

    assert raised.value.__notes__ == ["case 'case-0' of triage"]
    assert f"{NUMBER} replies are kept" in accepted("eval", "--live").stderr
    assert provider.count == asked + NUMBER


def test_a_case_without_what_a_scorer_compares_with_is_named(accepted: Eval) -> None:
    CASES.write_text(cases().replace('"category": "billing", ', "", 1))

    assert "case 'case-0': a scorer needs 'category' in what the case has as `expected`" in (
        accepted("eval", expect=1).stderr
    )


def test_a_reply_that_the_code_cannot_read_scores_0(accepted: Eval, monkeypatch: pytest.MonkeyPatch) -> None:
    async def read(gateway: Gateway, inputs: Mapping[str, Any]) -> object:
        await eval_cases.triage(gateway, inputs)
        if inputs["ticket"].startswith("Ticket 1"):
            raise UnsupportedAnswerError("How much?", ["a quote of nothing"])
        return parse_reply("no object", Triage)

    monkeypatch.setitem(vars(TRIAGE), "task", read)

    assert ["valid", "1.00", "0.00", "20", "0", "0.000", "worse"] in rows(accepted("eval", expect=1))


def test_an_error_that_says_nothing_about_the_model_is_no_result(
    accepted: Eval, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def search(*_: object) -> None:
        raise AIBaseError("there is no index")

    monkeypatch.setitem(vars(TRIAGE), "task", search)

    result = accepted("eval", expect=1)

    assert result.stderr == "there is no index\n"
    assert result.stdout == ""


def test_a_judge_is_recorded_and_what_it_says_of_a_name_that_a_scorer_has_does_not_gate(
    accepted: Eval, provider: LoopbackProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tone(case: EvaluatorContext) -> float:
        """Ask a model."""
        said: Answer[str] = await case.gateway.ask("tone", {"summary": case.output.summary})
        return float("short" in said.output) / 2

    asked = provider.count
    write("config/prompts/tone.md", "Which tone has this: {{ summary }}?")
    monkeypatch.setitem(TRIAGE.judges, "tone", tone)
    monkeypatch.setitem(TRIAGE.judges, "brief", lambda _: 0.0)

    accepted("eval", "--record", "--accept")
    result = accepted("eval")

    assert provider.count > asked
    assert result.stdout.count("not gating") == 1
    assert gate() == []
    scores = json.loads(BASELINE.read_text())["cases"]["case-0"]["scores"]
    assert (scores["tone"], scores["brief"]) == (0.5, 1)


def test_code_that_streams_is_recorded_and_replayed(
    run: Eval, provider: LoopbackProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def streamed(gateway: Gateway, inputs: Mapping[str, Any]) -> object:
        async with gateway.stream("triage", inputs, output_type=Triage) as snapshots:
            return [snapshot async for snapshot in snapshots][-1]

    monkeypatch.setitem(vars(TRIAGE), "task", streamed)
    run("eval", "--record", "--accept")

    assert gate() == []
    assert provider.count == NUMBER


def test_two_pictures_are_two_requests(run: Eval, provider: LoopbackProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(gateway: Gateway, inputs: Mapping[str, Any]) -> object:
        picture = BinaryContent(inputs["ticket"].encode(), media_type="image/png")
        return await gateway.ask("triage", {"ticket": "a picture"}, output_type=Triage, attachments=[picture])

    config = Path("config/llm.toml")
    config.write_text(config.read_text().replace("price = ", "context_window = 100_000\nprice = "))
    monkeypatch.setitem(vars(TRIAGE), "task", look)
    run("eval", "--record")

    assert provider.count == NUMBER


# ---- Live runs ----


def test_what_cannot_be_accepted_is_refused_before_anything_is_asked(run: Eval, provider: LoopbackProvider) -> None:
    assert "REPEAT=3" in run("eval", "--live", "--accept", expect=2).stderr
    assert "accept the recorded replies first: make eval ACCEPT=1" in (
        run("eval", "--live", "--repeat", "2", "--accept", expect=1).stderr
    )
    assert provider.count == 0


def test_live_replies_are_kept_until_the_page_is_written(accepted: Eval, provider: LoopbackProvider) -> None:
    asked = provider.count
    Path("taken").touch()
    with pytest.raises(OSError, match="taken"):
        accepted("eval", "--live", "--html", "taken/eval.html")

    result = accepted("eval", "--live", "--html", "new/folder/eval.html")

    assert f"{NUMBER} replies are kept" in result.stderr
    assert provider.count == asked + NUMBER
    assert Path("new/folder/eval.html").exists()


def test_a_candidate_may_have_any_name(accepted: Eval, provider: LoopbackProvider) -> None:
    config, asked = Path("config/llm.toml"), provider.count
    text = config.read_text().replace("[candidates.other]", '[candidates."a/b*"]').replace(', "other"]', "]")
    config.write_text(text)

    accepted("eval", "--live", "--model", "a/b*")

    assert provider.count == asked + NUMBER
    assert [path.name for path in FOLDER.glob(".*")] == []


@pytest.mark.parametrize(("command", "said"), [("eval", "What was answered is kept"), ("drift", "Nothing is kept")])
def test_ctrl_c_says_what_is_kept(accepted: Eval, monkeypatch: pytest.MonkeyPatch, command: str, said: str) -> None:
    async def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(vars(TRIAGE), "task", interrupted)

    assert said in accepted(command, expect=130).stderr


def test_a_module_without_the_dataset_is_told(run: Eval, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no dataset 'gone' in the list DATASETS of eval_cases; it has: triage" in (
        run("eval", "--only", "gone", expect=1).stderr
    )
    monkeypatch.setattr(eval_cases, "DATASETS", [])
    assert "it has: none" in run("drift", expect=1).stderr


# ---- Revisions ----


@pytest.fixture
def history(accepted: Eval) -> Eval:
    """Commits: `before` without the prompt, `v1` with it, then one with a link out of the repository."""
    prompt, elsewhere = Path("config/prompts/triage.md"), Path("triage.md")
    git("init", "--quiet")
    for tag in ("before", "v1"):
        if tag == "before":
            prompt.rename(elsewhere)
        else:
            elsewhere.rename(prompt)
        git("add", "config", "evals")
        git("commit", "--quiet", "--message", tag)
        git("tag", tag)
    Path("link").symlink_to("/nowhere")
    git("add", "link")
    git("commit", "--quiet", "--message", "a link")
    return accepted


@pytest.mark.parametrize("name", ["v1", "HEAD", "HEAD~1", "v1^{commit}"])
def test_a_revision_has_many_names(history: Eval, name: str) -> None:
    assert "category" in history("eval", "--from", name).stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("before", "triage.md: no such prompt"),
        ("v1:config", "no such prompt"),
        ("v1~7", "git fetch --unshallow"),
        ("--output=x", "Name a commit, branch or tag"),
        ("v1:config/llm.toml", "Name a commit, branch or tag"),
    ],
)
def test_a_revision_that_cannot_be_compared_is_named(history: Eval, name: str, said: str) -> None:
    result = history("eval", "--from", name, expect=1)

    assert f"FROM={name}: " in result.stderr
    assert said in result.stderr


def test_a_case_that_a_revision_did_not_have_is_asked_live(history: Eval) -> None:
    case = {"name": "new", "inputs": {"ticket": "how?"}, "expected": {"category": "question", "urgency": 3}}
    write("evals/triage/cases.jsonl", f"{cases()}{json.dumps(case)}\n")
    write("config/prompts/triage.md", f"Please! {PROMPT}")
    history("eval", "--record")

    result = history("eval", "--from", "v1", expect=1)

    assert "FROM=v1: triage: 1 of 21 cases ask what is not recorded" in result.stderr
    assert "to compare revisions: LIVE=1" in result.stderr
    history("eval", "--from", "v1", "--live")


# ---- The page ----


def test_hostile_answers_stay_text(accepted: Eval, provider: LoopbackProvider) -> None:
    said = "</script></pre><!-- \x00\u202e\u0007\ud800 & <b>"
    config = Path("config/llm.toml")
    config.write_text(f'{config.read_text()}[output]\nhtml = "keep"\n')
    write("config/prompts/triage.md", f"Slowly! {PROMPT}")
    provider.behaviour = lambda body: answer(body, category="other", summary=said)

    accepted("eval", "--record", "--html", "eval.html", expect=1)

    page = Path("eval.html").read_text(encoding="utf-8")
    assert "&lt;/script&gt;&lt;/pre&gt;&lt;!--" in page
    assert "</script>" not in page
    assert not {*"\x00\u202e\u0007"} & {*page}
