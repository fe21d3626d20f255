"""A circuit breaker for one candidate: what is down costs nothing, and one probe at a time asks whether it still is."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ai_base.llm.configuration.config import Breaker as Settings
from ai_base.llm.errors import AttemptFailedError, CircuitOpenError, RejectedRequestError


@dataclass
class Breaker:
    """Closed until `failures` in a row, then open for `pause` seconds, then half open: one probe decides.

    A candidate that is misconfigured (a revoked key, a retired model) is taken out for longer.
    """

    candidate: str
    settings: Settings
    clock: Callable[[], float] = time.monotonic
    _failed: int = 0
    _opened_until: float | None = None
    _misconfigured: bool = False
    _probe: object = None

    @property
    def state(self) -> str:
        """Closed, open, half-open or misconfigured."""
        if self._opened_until is None:
            return "closed"
        if self.clock() >= self._opened_until:
            return "half-open"
        return "misconfigured" if self._misconfigured else "open"

    def check(self) -> None:
        """Refuse while open, and while another one probes.

        Raises:
            CircuitOpenError: The next candidate should be asked.
        """
        if self.state != "closed" and (self.state != "half-open" or self._probe):
            raise CircuitOpenError(self.candidate, self.state, max(0, (self._opened_until or 0) - self.clock()))

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Let a call through, or refuse it as `check` does, and learn from how it ends."""
        self.check()
        probe = object() if self.state == "half-open" else None
        self._probe = probe or self._probe
        try:
            yield
        except RejectedRequestError:  # whoever refuses is there
            self._failed, self._opened_until = 0, None
            raise
        except AttemptFailedError as error:
            if error.candidate != self.candidate:  # of another one, asked while this one's stream was read
                raise
            self._failed += 1
            if not error.transient:
                self.take_out()
            # Calls that were let through before it opened do not prolong the pause.
            elif probe or (self._opened_until is None and self._failed >= self.settings.failures):
                self._opened_until, self._misconfigured = self.clock() + self.settings.pause, False
            raise
        else:
            self._failed, self._opened_until = 0, None
        finally:
            if probe is self._probe:
                self._probe = None

    def take_out(self) -> None:
        """Leave the candidate alone: it will fail until somebody changes its configuration."""
        self._misconfigured, self._opened_until = True, self.clock() + self.settings.misconfigured_pause
