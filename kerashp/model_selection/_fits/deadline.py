"""When a search ends early: by Ctrl-C, or after its timeout."""

import time

CTRL_C, TIMEOUT = "Ctrl-C", "its timeout"


class Stopped(Exception):
    """The search has been stopped, and training need not continue."""


class Deadline:
    """Whether a search continues.

    Parameters
    ----------
    end : float or None, default=None
        In seconds of `time.time()`, so that it has the same meaning in other processes.

    Attributes
    ----------
    end : float or None
    reason : str or None
        What stopped the search; None while it continues.
    """

    def __init__(self, end: float | None = None):
        self.end = end
        self.reason: str | None = None

    def stop(self, reason: str) -> None:
        """Let training end."""
        self.reason = reason

    @property
    def reached(self) -> bool:
        """Whether the search has to end."""
        if self.reason is None and self.end is not None and time.time() >= self.end:
            self.stop(TIMEOUT)
        return self.reason is not None

    def check(self, needed: float = 0.0) -> None:
        """Raise an error if fewer than the needed seconds are left, or the search has been stopped.

        Raises
        ------
        Stopped
        """
        if self.reached or (self.end is not None and time.time() + needed >= self.end):
            raise Stopped
