"""Stored answers to one question, and its escalation to a person. No access to the ledger outlasts the deadline."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

import structlog

from ai_base.llm.cancellation import shielded
from ai_base.llm.candidates.attempt import ledger_patience
from ai_base.llm.configuration.config import Budgets
from ai_base.llm.errors import DeadlineExceededError, LedgerError
from ai_base.llm.interaction import ActiveInteraction
from ai_base.llm.ledger.ledger import Ledger
from ai_base.llm.ledger.records import Escalation, new_id, now
from ai_base.text.scrub import scrub

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class StoredAnswers:
    """Reads answers by `key`. If the ledger fails or stalls and `when_ledger_fails` is `spend`, there are none.

    Every method raises:
        LedgerError: The ledger fails.
        DeadlineExceededError: It does not answer before the interaction's deadline.
    """

    ledger: Ledger
    call: ActiveInteraction
    budgets: Budgets
    key: str

    async def from_person(self) -> str | None:
        """Return a person's newest answer."""
        found = await self._in_time(self.ledger.answered(self.key))
        return found.answer if found else None

    async def from_cache(self, max_age: float) -> str | None:
        """Return the newest answer of a model, unless it is older than `max_age` seconds."""
        if not max_age:
            return None
        return await self._in_time(self.ledger.cached(self.key, max_age))

    async def ask_person(self, reason: str, draft: str) -> str | None:
        """Queue the question for a person, and return the id of the open escalation.

        After the deadline it is queued in the background, and None is returned.
        """
        row = self.call.row
        escalation = Escalation(
            id=new_id(),
            interaction_id=row.id,
            created_at=now(),
            key=self.key,
            reason=scrub(reason),
            prompt=row.prompt,
            request=row.request,
            draft=scrub(draft),
            output_type=row.output_type,
        )
        log.warning("llm escalated to a person", escalation=escalation.id, reason=reason)
        try:
            return await shielded(self.ledger.escalate(escalation), ledger_patience(self.call, self.budgets))
        except TimeoutError as error:
            log.warning("llm escalation queued late", error=str(error), escalation=escalation.id)
        except LedgerError as error:
            self._raise_if_ledger_required(error)
        return None

    async def _in_time[R](self, query: Awaitable[R | None]) -> R | None:
        try:
            async with asyncio.timeout(ledger_patience(self.call, self.budgets)):
                return await query
        except TimeoutError as error:
            self._raise_if_ledger_required(DeadlineExceededError(self.call.deadline), error)
        except LedgerError as error:
            self._raise_if_ledger_required(error)
        return None

    def _raise_if_ledger_required(
        self, error: LedgerError | DeadlineExceededError, cause: Exception | None = None
    ) -> None:
        """Raise the error, unless calls may go on without the ledger."""
        if self.budgets.when_ledger_fails == "refuse":
            raise error from cause
        log.error("llm ledger lost", error=str(error), interaction=self.call.row.id)
