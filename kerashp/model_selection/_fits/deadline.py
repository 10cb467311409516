"""When a search ends before all is done: by Ctrl-C, or when its time is over."""

import time

CTRL_C, TIMEOUT = "Ctrl-C", "its timeout"


class Stopped(Exception):
    """The search has been stopped: what still trains need not go on."""


class Deadline:
    """Whether a search is to go on.

    Parameters
    ----------
    deadline : float or None, default=None
        In seconds of `time.time()`, so that it means the same in other processes.

    Attributes
    ----------
    deadline : float or None
    reason : str or None
        What stopped the search; None while it goes on.
    """

    def __init__(self, deadline: float | None = None):
        self.deadline = deadline
        self.reason: str | None = None

    def stop(self, reason: str) -> None:
        """Let what still trains end."""
        self.reason = reason

    @property
    def reached(self) -> bool:
        """Whether the search is to end."""
        if self.reason is None and self.deadline is not None and time.time() >= self.deadline:
            self.stop(TIMEOUT)
        return self.reason is not None

    def check(self, needed: float = 0.0) -> None:
        """Go on, or not: what needs more seconds than there are left need not begin.

        Raises
        ------
        Stopped
        """
        if self.reached or (self.deadline is not None and time.time() + needed >= self.deadline):
            raise Stopped
