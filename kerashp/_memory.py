"""How much memory a multilayer perceptron needs, and how much there is."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from kerashp._arguments import Arguments, is_sequence, shown

_MEMORY_INFORMATION = Path("/proc/meminfo")
_LIMIT, _USED, _USES = (
    Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current", "memory.stat")
)
_GIB = 2**30
_SMALL = 2**24  # numbers, of which no machine that trains networks runs short


def available_memory() -> float:
    """Bytes that this process can still take: of the machine, or of its container if that has fewer.

    Infinite where the system does not say.
    """
    of_machine = [1024 * number for number in _numbers(_MEMORY_INFORMATION, "MemAvailable:")]
    limit, used = _text(_LIMIT).strip(), _text(_USED).strip()
    files = sum(_numbers(_USES, "inactive_file"))  # which the system gives up where memory is short
    of_container = [float(limit) - float(used) + files] if limit.isdigit() and used.isdigit() else []
    return min([*of_machine, *of_container], default=math.inf)


def _numbers(path: Path, name: str) -> list[float]:
    lines = [line.split() for line in _text(path).splitlines()]
    return [float(words[1]) for words in lines if words[:1] == [name]]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


@dataclass(frozen=True)
class Footprint:
    """The numbers that a perceptron in training holds at the least.

    Parameters
    ----------
    n_inputs, n_outputs : int
    itemsize : int
        Bytes of a number.
    copies : callable
        Gives how many numbers are held for each weight: itself, its gradient, the optimizer's; asked only
        where it matters.
    batch_size : int, default=0
        Rows whose outputs of every layer are held.

    Examples
    --------
    >>> footprint = Footprint(8, 1, itemsize=4, copies=lambda: 4)
    >>> footprint.n_weights([10, 5]), footprint.n_bytes([10, 5])
    (151, 2416)
    """

    n_inputs: int
    n_outputs: int
    itemsize: int
    copies: Callable[[], int]
    batch_size: int = 0

    def n_weights(self, widths: Sequence[int]) -> int:
        """Of kernels and biases."""
        sizes = [self.n_inputs, *widths, self.n_outputs]
        return sum((below + 1) * above for below, above in pairwise(sizes))

    def n_bytes(self, widths: Sequence[int]) -> int:
        """Of all that is held for the weights, and of the outputs of the layers for a batch."""
        return self.itemsize * (self.copies() * self.n_weights(widths) + self.batch_size * sum(widths))

    def check(self, check: Arguments, n_neurons: object, widths: Sequence[int]) -> None:
        """Refuse hidden layers of widths that cannot fit in the memory that is there.

        Raises
        ------
        ValueError
            With widths that would fit.
        """
        if self.n_weights(widths) + self.batch_size * sum(widths) < _SMALL:
            return
        needed, there = self.n_bytes(widths), _steady(available_memory())
        if needed > there:
            raise ValueError(
                f"{check.caller}: n_neurons={shown(n_neurons)} in {len(widths)} hidden layer(s) on "
                f"{self.n_inputs} input(s) makes a network of {self.n_weights(widths):,} weights; training "
                f"needs {needed / _GIB:,.1f} GiB of memory, and {there / _GIB:,.1f} GiB are available. "
                f"{self._remedy(is_sequence(n_neurons), widths, there / 2)}"
            )

    def _remedy(self, listed: bool, widths: Sequence[int], there: float) -> str:
        """Widths in these proportions that fit, rounded down."""
        share = 1.0
        while share * max(widths, default=0) >= 1:
            share /= 1.1
            narrower = [_rounded(max(1, int(share * width))) for width in widths]
            if self.n_bytes(narrower) <= there:
                return f"n_neurons={narrower if listed else narrower[0]} fits"
        return "Not even layers of one unit fit: reduce the inputs, the outputs or the layers"


def _steady(n_bytes: float) -> float:
    """In whole GiB where there are some: the same error in all fits of a search is one."""
    return n_bytes // _GIB * _GIB if _GIB < n_bytes < math.inf else n_bytes


def _rounded(width: int) -> int:
    """Rounded down to two digits.

    >>> _rounded(7), _rounded(12_345)
    (7, 12000)
    """
    unit = int(10 ** max(0, len(str(width)) - 2))
    return width // unit * unit
