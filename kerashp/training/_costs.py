"""Estimates of training time on this machine, by which wider models are weighed against another compile."""

import json
import time
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from keras import ops

from kerashp._cache_folder import cache_folder
from kerashp.training._engine.blocks import n_blocks
from kerashp.training._engine.program_files import entry_name
from kerashp.training._runtime.backend import backend

# Measured on one machine over populations of perceptrons (27 in training; 24 in all that a search does with a
# new program: training, validation, predictions): all other compiling and computing takes these multiples of
# the seconds in which the probe below is compiled, and products reach this share of its rate.
_COMPILE, _COMPILE_LAYER = 10.0, 3.0
_BLOCK_LAYER, _MEMBER_LAYER = 1.5e-4, 2e-5
_SHARE = 0.6
# The probe's products: rows of a member, widths, and members that fill a core, or an accelerator.
_PRODUCTS, _ROWS, _NARROW, _WIDTH, _FEW, _MANY = 200, 32, 8, 64, 8, 1024

_USES = 3  # of a program that is kept for other processes, at a guess


@dataclass(frozen=True)
class Costs:
    """Estimated times of populations on one core.

    Attributes
    ----------
    compile_seconds, layer_compile_seconds : float
        To trace and compile a graph shape, and the addition of each product (a layer's kernel).
    block_seconds : float
        Of a product in a step of a block, whatever the number of its members.
    member_seconds : float
        The addition of each member, whatever its size.
    flops_per_second : float
        The rate of the products themselves.

    Examples
    --------
    >>> costs = Costs(1.0, 0.5, 0.0, 1e-6, 1e10)
    >>> costs.compiling(n_layers=2)
    2.0
    >>> costs.training(n_members=1, n_layers=2, n_weights=0, batch_size=32, n_steps=1000)
    0.002
    """

    compile_seconds: float
    layer_compile_seconds: float
    block_seconds: float
    member_seconds: float
    flops_per_second: float

    def compiling(self, n_layers: int) -> float:
        """Seconds to compile a model with this number of products."""
        return self.compile_seconds + n_layers * self.layer_compile_seconds

    def shared_by(self, n_uses: int) -> "Costs":
        """The costs of one of several uses of a program, which is compiled once."""
        return replace(
            self,
            compile_seconds=self.compile_seconds / n_uses,
            layer_compile_seconds=self.layer_compile_seconds / n_uses,
        )

    def training(
        self,
        n_members: int,
        n_layers: int,
        n_weights: int,
        batch_size: int,
        n_steps: float,
        block_size: int | None = None,
    ) -> float:
        """Seconds of the steps of all members, in blocks of this size, or of a population's default size.

        A weight takes part in a product and a sum for each row, forward, and twice as many backward.
        """
        products = 6 * n_weights * batch_size / self.flops_per_second
        count = n_blocks(n_members, 1) if block_size is None else -(-n_members // block_size)
        blocks = count * n_layers * self.block_seconds
        return n_steps * (blocks + n_members * (n_layers * self.member_seconds + products))


def n_uses() -> int:
    """How often a program is used, in this process and in others: what compiling it may cost."""
    return 1 if cache_folder() is None else _USES


@lru_cache(maxsize=1)
def measured() -> Costs:
    """The costs on this machine, measured by a probe in tenths of a second.

    Where the program cache is on, they are measured once a machine: plans that follow from them, and so the
    programs and their rounding, stay the same from process to process.
    """
    folder, name = cache_folder(), entry_name("costs", backend().settings())
    stored = None if folder is None else folder.read(name)
    if stored is not None:
        return Costs(**json.loads(stored))
    costs = _probed()
    if folder is not None:
        folder.write(name, json.dumps(asdict(costs)).encode())
    return costs


def _probed() -> Costs:
    if backend().device_kind() != "cpu":
        return _probed_on_accelerator()
    compiling, seconds = _probe(_FEW, _WIDTH)
    return Costs(
        compile_seconds=_COMPILE * compiling,
        layer_compile_seconds=_COMPILE_LAYER * compiling,
        block_seconds=_BLOCK_LAYER * compiling,
        member_seconds=_MEMBER_LAYER * compiling,
        flops_per_second=_SHARE * _flops(_FEW, _WIDTH) / seconds,
    )


def _probed_on_accelerator() -> Costs:
    """Members cost little there, and wide ones hardly more than narrow ones: each is measured by itself.

    A layer has three products in a step: one forward and two backward.
    """
    compiling, few = _probe(_FEW, _NARROW)
    _, narrow = _probe(_MANY, _NARROW)
    _, wide = _probe(_MANY, _WIDTH)
    rate = (_flops(_MANY, _WIDTH) - _flops(_MANY, _NARROW)) / max(wide - narrow, 1e-9)
    return Costs(
        compile_seconds=_COMPILE * compiling,
        layer_compile_seconds=_COMPILE_LAYER * compiling,
        block_seconds=3 * few,
        member_seconds=3 * max(narrow - few, 0.0) / _MANY,
        flops_per_second=rate,
    )


def _probe(n_members: int, width: int) -> tuple[float, float]:
    """The seconds to compile products of one width, and those of a product of all members."""
    rng = np.random.default_rng(0)
    shapes = (n_members, _ROWS, width), (n_members, width, width)
    arguments = [rng.normal(size=shape).astype("float32") for shape in shapes]

    def products(x: Any, kernel: Any) -> list[Any]:
        return list(backend().repeat(_PRODUCTS, lambda _, x: (ops.tanh(ops.matmul(x, kernel)),), (x,)))

    times = [time.perf_counter()]
    compiled = backend().compiled(products, arguments)
    for _ in range(4):
        backend().fetched(compiled(*arguments))
        times.append(time.perf_counter())
    first, *later = np.diff(times).tolist()
    return first, min(later) / _PRODUCTS


def _flops(n_members: int, width: int) -> float:
    """The operations of a product of all members."""
    return 2.0 * n_members * _ROWS * width**2
