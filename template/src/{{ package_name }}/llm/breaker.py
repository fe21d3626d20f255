"""A circuit breaker for one candidate: what is down costs nothing, and one probe at a time asks whether it still is."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from .errors import CircuitOpenError


@dataclass
class Breaker:
    """Closed until `failures` in a row, then open for `pause` seconds, then half open: one probe decides.

    A candidate that is misconfigured (a revoked key, a retired model) is taken out for longer.
    """

    candidate: str
    failures: int
    pause: float
    misconfigured_pause: float
    clock: Callable[[], float] = time.monotonic
    _failed: int = 0
    _opened_until: float | None = None
    _misconfigured: bool = False
    _probing: bool = False

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
        if self.state != "closed" and (self.state != "half-open" or self._probing):
            raise CircuitOpenError(self.candidate, self.state, max(0, (self._opened_until or 0) - self.clock()))

    def admit(self) -> bool:
        """Let a call through, or refuse it as `check` does; whether it is the probe."""
        self.check()
        self._probing = self.state == "half-open"
        return self._probing

    def succeeded(self) -> None:
        """The candidate answered."""
        self._failed, self._opened_until, self._misconfigured, self._probing = 0, None, False, False

    def failed(self, *, probe: bool) -> None:
        """The candidate failed in a way that time may heal."""
        self._failed += 1
        # Calls that were let through before it opened do not prolong the pause.
        if probe or (self._opened_until is None and self._failed >= self.failures):
            self._opened_until = self.clock() + self.pause
        self.released(probe=probe)

    def misconfigured(self) -> None:
        """The candidate will fail until somebody changes its configuration."""
        self._misconfigured, self._probing = True, False
        self._opened_until = self.clock() + self.misconfigured_pause

    def released(self, *, probe: bool) -> None:
        """The call ended without telling anything about the candidate."""
        if probe:
            self._probing = False
