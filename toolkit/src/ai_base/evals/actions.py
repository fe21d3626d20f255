"""What the commands do. Each returns the command's exit code."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import quote

import typer

from ai_base.cli import echo
from ai_base.evals import gate
from ai_base.evals.dataset import FOLDER, Case, Dataset, EvalError, read_cases
from ai_base.evals.gate import ACCEPT, BASELINE, CASES, REPLIES, gating
from ai_base.evals.page import page
from ai_base.evals.recordings import ReplyFile
from ai_base.evals.reports import NOISE, EvaluationReport, combine, compare
from ai_base.evals.run import COST_CENTER, evaluated, open_session
from ai_base.llm.commands.tables import money, print_table
from ai_base.llm.configuration.prices import price_of
from ai_base.llm.configuration.project_files import load_config
from ai_base.llm.money import dollars
from ai_base.llm.settings import LLMSettings
from ai_base.settings import find_root, load_settings

WORSE = 1
BYTES_PER_TOKEN = 4
GUESSED_TOKENS = 300
"""Of an answer, and of a prompt beside its inputs, while nothing is known of them."""


class Options(NamedTuple):
    """The options of `eval`."""

    live: bool = False
    model: str = ""
    record: bool = False
    accept: bool = False
    repeat: int = 1
    html: Path | None = None
    since: str = ""


def datasets(module: str, only: str) -> list[Dataset]:
    """Return the datasets of a module.

    Raises:
        EvalError: There are none, or none of this name.
    """
    try:
        found: list[Dataset] = list(import_module(module).DATASETS)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise EvalError(f"there is no module {module} with a list DATASETS; docs/evals.md shows one") from None
    if not (chosen := [each for each in found if only in ("", each.name)]):
        names = ", ".join(each.name for each in found) or "none"
        raise EvalError(f"there is no dataset {only!r} in the list DATASETS of {module}; it has: {names}")
    return chosen


async def evaluate(chosen: Sequence[Dataset], options: Options) -> int:
    """Run datasets, compare each with its baseline or with a revision, and report."""
    worse = [await _evaluate(dataset, options) for dataset in chosen]
    return WORSE if any(worse) and not options.accept else 0


async def _evaluate(dataset: Dataset, options: Options) -> bool:
    """Return whether the outcome is worse than before."""
    cases, baseline = read_cases(dataset.folder / CASES), EvaluationReport.read(dataset.folder / BASELINE)
    if options.live and options.accept and baseline is None:
        raise EvalError(f"accept the recorded replies first: {ACCEPT}")
    if options.live or options.record:
        _estimate(dataset, cases, options, baseline)
    prompts, replies = load_settings(LLMSettings).prompts_folder, dataset.folder / REPLIES
    before = baseline
    if options.since:  # first, so that a wrong revision costs nothing
        with revision(options.since) as then:
            old = [then / FOLDER / dataset.name / REPLIES, replies]
            before = await _run(dataset, cases, options, then / prompts.relative_to(find_root()), old)
    after = await _run(dataset, cases, options, prompts, [replies])
    if options.record:
        ReplyFile(replies).keep_only(reply for case in after.cases.values() for reply in case.replies)
    worse = _report(dataset, before, after, options)
    if options.accept:
        _accept(dataset, baseline, after, options)
    for live in dataset.folder.glob(f"{_live_name(options)}*") if options.live else ():
        live.unlink()
    return worse


async def drift(chosen: Sequence[Dataset], limit: int) -> int:
    """Tell what moved."""
    moved = False
    for dataset in chosen:
        cases = read_cases(dataset.folder / CASES)[:limit]
        with _progress(len(cases), dataset.name) as bar:
            found = await gate.drift(dataset, cases, lambda: bar.update(1))
        for line in found or [f"nothing moved in {len(cases)} cases"]:
            echo(f"{dataset.name}: {line}")
        moved |= bool(found)
    return WORSE if moved else 0


def _live_name(options: Options) -> str:
    return f".live-{quote(options.model or 'first', safe='')}="


async def _run(
    dataset: Dataset, cases: list[Case], options: Options, prompts: Path, recorded: list[Path]
) -> EvaluationReport:
    """Run a dataset as often as wanted. Live replies go to other files, from which an interrupted run goes on."""
    asks, reports = options.live or options.record, []
    for number in range(options.repeat):
        live = dataset.folder / f"{_live_name(options)}{number}.jsonl"
        file = ReplyFile(*([live] if options.live else recorded))
        if options.live and file.replies:
            echo(f"going on from an interrupted run: {len(file.replies)} replies are kept", err=True)
        async with open_session(dataset, file, candidate=options.model, live=asks, prompts=prompts) as session:
            with _progress(len(cases) if asks else 0, dataset.name) as bar:
                reports.append(await session.run(cases, lambda: bar.update(1)))
    return combine(reports)


def _estimate(dataset: Dataset, cases: list[Case], options: Options, stored: EvaluationReport | None) -> None:
    """Tell what the run will cost, from the tokens of the baseline where a case has any."""
    config = evaluated(load_config(), dataset.chain, options.model)
    candidate = config.candidates[config.chains[dataset.chain][0]]
    price, runs = price_of(candidate.model, candidate.price), options.repeat * (2 if options.since else 1)
    total = 0
    for case in cases:
        known = stored.cases.get(case.name) if stored else None
        size = len(case.model_dump_json()) // BYTES_PER_TOKEN + GUESSED_TOKENS
        tokens = (known.input_tokens, known.output_tokens) if known else (size, GUESSED_TOKENS)
        total += price.bound(*tokens) * runs if price else 0
    times = f" {runs} times" if runs > 1 else ""
    already = ", less what is recorded" if options.record else ""
    paid = f"about {money(dollars(total))} of the cost centre {COST_CENTER}{already}"
    echo(f"{dataset.name}: {len(cases)} cases{times} at {candidate.model}, {paid}", err=True)


def _report(dataset: Dataset, before: EvaluationReport | None, after: EvaluationReport, options: Options) -> bool:
    """Print the outcome, and return whether it is worse."""
    if before is None:
        before = after
        if not options.accept:
            echo(f"There is no baseline yet. To accept this as one: {ACCEPT}", err=True)
    found = compare(before, after, gating(dataset), dataset.tolerance)
    judges = [name for name in dataset.judges if name not in gating(dataset)]
    judged = compare(before, after, judges, dataset.tolerance)
    echo(f"{dataset.name}: {len(after.cases)} cases")
    for label, report in (("before", before), ("now", after)):
        facts = report.facts
        echo(f"{label + ':':<8}{facts['model']}; prompt {facts['prompt']}; {facts['cost']}")
    rows = []
    for each in [*found, *judged]:
        means, counts = (f"{each.before:.2f}", f"{each.after:.2f}"), (len(each.worse), len(each.better))
        verdict = f"{each.verdict} (not gating)" if each in judged else each.verdict
        rows.append((each.score, *means, *counts, f"{each.p:.3f}", verdict))
    print_table(("score", "before", "now", "worse", "better", "p", "verdict"), rows, flexible=["score"])
    for score, deviation in after.noise.items():
        echo(f"noise of {score}: two runs differ by up to {NOISE * deviation * 2**0.5:.3f}")
    for line in gate.describe(found):
        echo(f"WORSE: {line}", err=True)
    if options.html:
        options.html.parent.mkdir(parents=True, exist_ok=True)
        options.html.write_text(page(f"Eval: {dataset.name}", before, after, [*found, *judged]), encoding="utf-8")
        echo(f"page: {options.html}")
    return any(each.verdict == "worse" for each in found)


def _accept(dataset: Dataset, stored: EvaluationReport | None, after: EvaluationReport, options: Options) -> None:
    """Write the baseline: scores come from recorded replies only, noise from live runs only."""
    if stored and options.live:
        after = stored.model_copy(update={"noise": after.noise})
    elif stored:
        after.noise = stored.noise
    after.write(dataset.folder / BASELINE)
    echo(f"accepted: {dataset.folder / BASELINE}")


@contextmanager
def revision(name: str) -> Iterator[Path]:
    """Lend a folder with the files of the project as they were at a git revision.

    Raises:
        EvalError: git does not know it, or what is done with it fails.
    """
    command = ["git", "archive", "--format=tar", "--end-of-options", name]
    done = subprocess.run(command, cwd=find_root(), capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()
        remedy = "Name a commit, branch or tag; a shallow clone gets more of them by: git fetch --unshallow --tags"
        raise EvalError(f"FROM={name}: {reason}. {remedy}")
    with TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, [each for each in archive if each.isfile()], filter="data")
        try:
            yield Path(folder)
        except EvalError as error:
            raise EvalError(f"FROM={name}: {error}") from error


def _progress(length: int, label: str) -> AbstractContextManager[Any]:
    return typer.progressbar(length=length, label=label, file=sys.stderr, hidden=not length)
