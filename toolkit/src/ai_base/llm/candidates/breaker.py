"""A circuit breaker for one candidate: after a few failures it is skipped, and one probe at a time tests it."""

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ai_base.llm.configuration.config import Breaker as Settings
from ai_base.llm.errors import AttemptFailedError, CircuitOpenError, ModelRefusalError, RejectedRequestError


@dataclass
class Breaker:
    """Closed until `failures` in a row, then open for `pause` seconds, then half open: one probe decides.

    A candidate that is misconfigured (a revoked key, a retired model) is taken out for `misconfigured_pause`.
    """

    candidate: str
    settings: Settings
    clock: Callable[[], float] = time.monotonic
    _failed: int = 0
    _opened_until: float | None = None
    _misconfiguration: str | None = None
    """The error of the last request, if it takes the candidate out."""
    _suspected_by: Hashable = None
    _probe: object = None

    @property
    def state(self) -> str:
        """Closed, open, half-open or misconfigured."""
        if self._opened_until is None:
            return "closed"
        if self.clock() >= self._opened_until:
            return "half-open"
        return "open" if self._misconfiguration is None else "misconfigured"

    def check(self) -> None:
        """Refuse a call while open, and while another one probes.

        Raises:
            CircuitOpenError: The next candidate should be asked.
        """
        if self._opened_until is None:
            return
        state = self.state
        if state != "half-open" or self._probe:
            cause = self._misconfiguration if state == "misconfigured" else None
            raise CircuitOpenError(self.candidate, state, max(0, self._opened_until - self.clock()), cause)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Let a call through, or refuse it as `check` does, and update the state from its outcome."""
        self.check()
        probe = object() if self._opened_until is not None else None
        self._probe = probe or self._probe
        try:
            yield
        except (RejectedRequestError, ModelRefusalError):  # the provider answered
            self._close()
            raise
        except AttemptFailedError as error:
            if error.candidate == self.candidate:  # not another one's, asked while this one's stream was read
                self._record_failure(error, is_probe=probe is not None)
            raise
        else:
            self._close()
            self._suspected_by = self._misconfiguration = None
        finally:
            if probe is self._probe:
                self._probe = None

    def suspect(self, request: Hashable, cause: str) -> bool:
        """Note that the candidate seems misconfigured; a second, different request confirms it and takes it out.

        Otherwise one user's unusual request would take it out for everybody. Returns whether it was taken out.
        """
        confirmed = self._misconfiguration is not None or self._suspected_by not in (None, request)
        if confirmed:
            self.take_out(cause)
        else:
            self._suspected_by = request
        return confirmed

    def take_out(self, cause: str) -> None:
        """Skip the candidate for `misconfigured_pause`: it will fail until its configuration changes.

        `cause` is told to each caller that is refused meanwhile.
        """
        self._misconfiguration, self._opened_until = cause, self.clock() + self.settings.misconfigured_pause

    def _record_failure(self, error: AttemptFailedError, *, is_probe: bool) -> None:
        if error.kind in ("unsuitable", "rate_limited"):  # it answered; a rate limit paces the limiter
            self._close()
        elif error.kind == "transient":
            self._failed += 1
            # Calls that were let through before it opened do not prolong the pause.
            if is_probe or (self._opened_until is None and self._failed >= self.settings.failures):
                self._opened_until, self._misconfiguration = self.clock() + self.settings.pause, None

    def _close(self) -> None:
        self._failed, self._opened_until = 0, None
