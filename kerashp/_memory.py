"""The memory that a multilayer perceptron needs, and the memory that is available."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from kerashp._arguments import Arguments, is_sequence, short_repr

_MEMORY_INFORMATION = Path("/proc/meminfo")
_CGROUP_LIMIT, _CGROUP_USAGE, _CGROUP_STATISTICS = (
    Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current", "memory.stat")
)
_GIB = 2**30
_ALWAYS_FITS = 2**24  # numbers, for which every machine that trains networks has memory


def machine_memory() -> int:
    """The bytes of the machine's memory, whoever uses them."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def available_memory() -> float:
    """The bytes that this process can still allocate, within the machine and its container.

    Infinite if the system does not report them.
    """
    machine = [1024 * number for number in _fields(_MEMORY_INFORMATION, "MemAvailable:")]
    limit, usage = _text(_CGROUP_LIMIT).strip(), _text(_CGROUP_USAGE).strip()
    cached_files = sum(_fields(_CGROUP_STATISTICS, "inactive_file"))  # the system frees them on demand
    is_limited = limit.isdigit() and usage.isdigit()
    container = [float(limit) - float(usage) + cached_files] if is_limited else []
    return min([*machine, *container], default=math.inf)


def _fields(path: Path, name: str) -> list[float]:
    lines = [line.split() for line in _text(path).splitlines()]
    return [float(words[1]) for words in lines if words[:1] == [name]]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


@dataclass(frozen=True)
class Footprint:
    """The least memory that the training of a perceptron needs.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Widths of the input and the output.
    itemsize : int
        Bytes of a number.
    copies : callable
        Returns how many numbers are stored for each weight: the weight, its gradient, the optimizer's state.
        It is called only for networks that may not fit.
    batch_size : int, default=0
        Rows for which the outputs of every layer are stored.
    n_embedded : int, default=0
        Weights of embeddings.
    n_heads : int, default=1
        Heads, of which each has scales, biases and a kernel of the output.

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
    n_embedded: int = 0
    n_heads: int = 1

    def n_weights(self, widths: Sequence[int]) -> int:
        """The number of weights in embeddings, kernels, biases and scales."""
        if self.n_heads > 1:
            return self._n_weights_of_heads(widths)
        sizes = [self.n_inputs, *widths, self.n_outputs]
        return self.n_embedded + sum((n_inputs + 1) * n_outputs for n_inputs, n_outputs in pairwise(sizes))

    def _n_weights_of_heads(self, widths: Sequence[int]) -> int:
        sizes = [self.n_inputs, *widths]
        shared = sum(n_inputs * n_outputs for n_inputs, n_outputs in pairwise(sizes))
        scales = sum(n_inputs + 2 * n_outputs for n_inputs, n_outputs in pairwise(sizes))
        return self.n_embedded + shared + self.n_heads * (scales + (sizes[-1] + 1) * self.n_outputs)

    def _n_outputs_of_layers(self, widths: Sequence[int]) -> int:
        return self.batch_size * self.n_heads * sum(widths)

    def n_bytes(self, widths: Sequence[int]) -> int:
        """The bytes of all copies of the weights, and of the layers' outputs for a batch."""
        numbers = self.copies() * self.n_weights(widths) + self._n_outputs_of_layers(widths)
        return self.itemsize * numbers

    def check(self, check: Arguments, n_neurons: object, widths: Sequence[int]) -> None:
        """Refuse widths of hidden layers that do not fit in the available memory.

        Raises
        ------
        ValueError
            If they do not fit; the message suggests widths that do.
        """
        if self.n_weights(widths) + self._n_outputs_of_layers(widths) < _ALWAYS_FITS:
            return
        needed, available = self.n_bytes(widths), _whole_gib(available_memory())
        if needed > available:
            raise ValueError(
                f"{check.caller}: n_neurons={short_repr(n_neurons)} in {len(widths)} hidden layer(s) on "
                f"{self.n_inputs} input(s) makes a network of {self.n_weights(widths):,} weights; training "
                f"needs {needed / _GIB:,.1f} GiB of memory, and {available / _GIB:,.1f} GiB are available. "
                f"{self._remedy(is_sequence(n_neurons), widths, available / 2)}"
            )

    def _remedy(self, is_listed: bool, widths: Sequence[int], n_bytes: float) -> str:
        """A suggestion of widths in these proportions that fit, rounded down."""
        share = 1.0
        while share * max(widths, default=0) >= 1:
            share /= 1.1
            narrower = [_rounded(max(1, int(share * width))) for width in widths]
            if self.n_bytes(narrower) <= n_bytes:
                return f"n_neurons={narrower if is_listed else narrower[0]} fits"
        return "Not even layers of one unit fit: reduce the inputs, the outputs or the layers"


def _whole_gib(n_bytes: float) -> float:
    """Rounded down to whole GiB from 1 GiB on, so that all fits of a search raise the same error."""
    return n_bytes // _GIB * _GIB if _GIB < n_bytes < math.inf else n_bytes


def _rounded(width: int) -> int:
    """Rounded down to two digits.

    Examples
    --------
    >>> _rounded(7), _rounded(12_345)
    (7, 12000)
    """
    unit = int(10 ** max(0, len(str(width)) - 2))
    return width // unit * unit
