"""The number of functions that this process has traced, compiled and loaded, and the seconds of each."""

import threading
from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Preparation:
    """What made functions ready to be called.

    Attributes
    ----------
    traced, compiled, loaded : int
        Functions of a backend. One that is loaded from the program cache is not traced, and compiled only if
        the cache has no compiled form of it.
    tracing_seconds, compiling_seconds, loading_seconds : float
        Summed over threads.

    Examples
    --------
    >>> print(Preparation(traced=2, tracing_seconds=0.5) + Preparation(loaded=1, loading_seconds=0.1))
    2 functions traced in 0.5 s, 0 compiled in 0.0 s, 1 loaded from the program cache in 0.1 s
    """

    traced: int = 0
    compiled: int = 0
    loaded: int = 0
    tracing_seconds: float = 0.0
    compiling_seconds: float = 0.0
    loading_seconds: float = 0.0

    def __add__(self, other: "Preparation") -> "Preparation":
        return Preparation(*[a + b for a, b in zip(astuple(self), astuple(other), strict=True)])

    def __sub__(self, other: "Preparation") -> "Preparation":
        return Preparation(*[a - b for a, b in zip(astuple(self), astuple(other), strict=True)])

    def __str__(self) -> str:
        return (
            f"{self.traced} functions traced in {self.tracing_seconds:.1f} s, {self.compiled} compiled in "
            f"{self.compiling_seconds:.1f} s, {self.loaded} loaded from the program cache in "
            f"{self.loading_seconds:.1f} s"
        )


_LOCK = threading.Lock()
_total = Preparation()


def record(preparation: Preparation) -> None:
    """Add to what this process has prepared."""
    global _total
    with _LOCK:
        _total += preparation


def preparation_so_far() -> Preparation:
    """What this process has prepared since it began.

    Returns
    -------
    Preparation
        The difference of two of them is what was prepared in between.

    Examples
    --------
    >>> from kerashp.training import preparation_so_far
    >>> before = preparation_so_far()
    >>> (preparation_so_far() - before).compiled
    0
    """
    return _total
