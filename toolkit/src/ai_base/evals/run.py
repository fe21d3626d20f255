"""Runs a dataset: each case is scored from recorded replies; what is not recorded can be asked first."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ai_base.errors import AIBaseError
from ai_base.evals.dataset import Case, Dataset, EvalError, Evaluator, EvaluatorContext
from ai_base.evals.evaluators import plain, schema_valid
from ai_base.evals.recordings import CaseLog, MissingReplyError, RecordingModel, ReplayingModel, ReplyFile, case_log
from ai_base.evals.reports import EvaluationReport, ReportCase, report_of
from ai_base.llm import errors
from ai_base.llm.candidates.providers import build_model
from ai_base.llm.candidates.transport import http_client
from ai_base.llm.configuration.config import Breaker, Budgets, Cache, Config, Escalation
from ai_base.llm.configuration.project_files import load_config
from ai_base.llm.gateway.answers import Answer
from ai_base.llm.gateway.gateway import Gateway
from ai_base.llm.interaction import attributed_to
from ai_base.llm.money import dollars
from ai_base.llm.settings import LLMSettings
from ai_base.settings import load_settings
from ai_base.testing import replay
from ai_base.text.reply import ReplyError
from ai_base.text.scrub import scrub

COST_CENTER = "evals"
CONCURRENCY = 10
RECORD = "make eval RECORD=1"
VALID = "valid"


class EvalGateway(Gateway):
    """A gateway that charges everything to `evals`, and whose answers come from a model or not at all."""

    async def ask(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Ask without a fallback: an evaluation is about the model."""
        return await super().ask(*args, **{**options, "fallback": None, "human": False})

    def interaction(self, name: str, **options: Any) -> Any:  # noqa: ANN401
        """Start an interaction that the cost centre `evals` pays for."""
        return super().interaction(name, **{**options, "cost_center": COST_CENTER})


@dataclass(frozen=True)
class Session:
    """A dataset with its replies, and the gateways that replay them and ask for more."""

    dataset: Dataset
    file: ReplyFile
    replaying: Gateway
    asking: Gateway | None

    async def run(self, cases: Sequence[Case], on_case: Callable[[], None] = lambda: None) -> EvaluationReport:
        """Score the cases, some at a time.

        Raises:
            EvalError: A request is not recorded; or a case got no answer: what was answered is kept.
        """
        slots = asyncio.Semaphore(CONCURRENCY)

        async def one(case: Case) -> ReportCase:
            async with slots:
                try:
                    return await self._one(case)
                finally:
                    on_case()

        # All of them end, whatever one raises: what was answered has been paid.
        outcomes = [*zip(cases, await asyncio.gather(*map(one, cases), return_exceptions=True), strict=True)]
        failed = [(case, each) for case, each in outcomes if isinstance(each, BaseException)]
        for case, error in failed:
            if not isinstance(error, (MissingReplyError, errors.LLMError)):
                error.add_note(f"case {case.name!r} of {self.dataset.name}")
                raise error
        if failed:
            raise EvalError(self._describe(failed, len(cases)))
        return report_of({case.name: each for case, each in outcomes if isinstance(each, ReportCase)})

    async def _one(self, case: Case) -> ReportCase:
        try:
            return await evaluate(self.replaying, self.dataset, case)
        except MissingReplyError:
            if self.asking is None:
                raise
        await evaluate(self.asking, self.dataset, case)
        return await evaluate(self.replaying, self.dataset, case)

    def _describe(self, failed: Sequence[tuple[Case, BaseException]], total: int) -> str:
        case, error = failed[0]
        start = f"{self.dataset.name}: {len(failed)} of {total} cases"
        if not isinstance(error, MissingReplyError):
            return f"{start} got no answer; {case.name}: {error}. What was answered is kept; the same command goes on"
        recorded = (reply.request for reply in self.file.replies.values())
        missing = f"{case.name}:\n{replay.difference_to_nearest(recorded, error.lines)}"
        if self.asking is not None:
            return f"{start} ask something else each time. Take times and random values out of the prompt.\n{missing}"
        return (
            f"{start} ask what is not recorded: a prompt, an output type, a model or a case is new. "
            f"To ask the model and record: {RECORD}; to compare revisions: LIVE=1.\n{missing}"
        )


async def evaluate(gateway: Gateway, dataset: Dataset, case: Case) -> ReportCase:
    """Run the code on one case, and score what it returns.

    Raises:
        MissingReplyError: A request is not recorded.
        AIBaseError: There was no answer for a reason that says nothing about the model, such as a budget or an outage.
        EvalError: A scorer returned no number from 0 to 1.
    """
    log = CaseLog()
    case_log.set(log)
    output, failure = None, ""
    with attributed_to(cost_center=COST_CENTER):
        try:
            output = await dataset.task(gateway, case.inputs)
        except (AIBaseError, ReplyError) as error:
            if not _is_about_the_reply(error):
                raise
            failure = scrub(f"{type(error).__name__}: {error}")
        if log.missing:
            raise log.missing
        output = output.output if isinstance(output, Answer) else output
        result = ReportCase.of(log.replies, failure or plain(output))
        context = EvaluatorContext(case, output, dollars(result.cost), result.duration, result.output_tokens, gateway)
        for name, scorer in {**dataset.judges, VALID: schema_valid, **dataset.evaluators}.items():
            result.scores[name] = 0.0 if output is None else await _score(name, scorer, context)
    result.replies = log.replies
    return result


def _is_about_the_reply(error: Exception) -> bool:
    """Whether a model replied, but with nothing usable: that is a result, and the others are not."""
    causes = error.errors if isinstance(error, errors.AllCandidatesFailedError) else [error]
    unusable = (errors.InvalidOutputError, errors.ModelRefusalError, ReplyError)
    return all(isinstance(each, unusable) or getattr(each, "kind", "") == "unsuitable" for each in causes)


async def _score(name: str, scorer: Evaluator, context: EvaluatorContext) -> float:
    value = scorer(context)
    value = await value if inspect.isawaitable(value) else value
    with suppress(TypeError, ValueError):
        if 0 <= float(value) <= 1:
            return round(float(value), 6)
    raise EvalError(f"case {context.case.name!r}: {name!r} scored {value!r}. A scorer returns a number from 0 to 1")


@asynccontextmanager
async def open_session(
    dataset: Dataset, file: ReplyFile, *, candidate: str = "", live: bool = False, prompts: Path | None = None
) -> AsyncIterator[Session]:
    """Open the gateways. `candidate` replaces the first of the dataset's chain; `live` asks what is not recorded.

    Raises:
        EvalError: There is no such candidate or chain, or no budget for evals.
    """
    config = evaluated(load_config(), dataset.chain, candidate)
    models = {name: ReplayingModel(file, each) for name, each in config.candidates.items()}
    async with AsyncExitStack() as stack:
        url = f"sqlite:///{stack.enter_context(TemporaryDirectory())}/ledger.db"
        replaying = EvalGateway.open(config=free(config), prompts=prompts, database_url=url, models=models)
        session = Session(dataset, file, await stack.enter_async_context(replaying), None)
        if live:
            if COST_CENTER not in config.budgets.cost_centers:
                where = load_settings(LLMSettings).config_file
                raise EvalError(f'{where}: give evals a budget: [budgets.cost_centers.evals], then day = "2"')
            client = await stack.enter_async_context(http_client())
            asked = {
                name: RecordingModel(build_model(each, client), file, each)
                for name, each in config.candidates.items()
                if name == config.chains[dataset.chain][0] or dataset.judges
            }
            asking = EvalGateway.open(config=config, prompts=prompts, models=asked)
            session = replace(session, asking=await stack.enter_async_context(asking))
        yield session


def evaluated(config: Config, chain: str, candidate: str) -> Config:
    """Return a configuration whose answers come from one candidate: no cache, no stronger chain, nobody asked."""
    if chain not in config.chains:
        raise EvalError(f"no chain is called {chain!r}; there are: {', '.join(config.chains)}")
    first = candidate or config.chains[chain][0]
    if first not in config.candidates:
        raise EvalError(f"no candidate is called {first!r}; there are: {', '.join(config.candidates)}")
    return config.model_copy(
        update={
            "chains": {**config.chains, chain: [first]},
            "cache": Cache(fresh=0, stale=0),
            "escalation": Escalation(confidence=0, human=False),
            "budgets": config.budgets.model_copy(update={"soft_landing": None}),
        }
    )


def free(config: Config) -> Config:
    """Return a configuration without caps, rate limits and breaker: a recorded reply costs nothing."""
    unpaced = {name: each.model_copy(update={"requests_per_minute": None}) for name, each in config.candidates.items()}
    budgets = Budgets(unlimited=True, interaction=config.budgets.interaction)
    patient = Breaker(failures=10**9)  # a reply that is missing says nothing about the candidate
    return config.model_copy(update={"candidates": unpaced, "budgets": budgets, "breaker": patient})
