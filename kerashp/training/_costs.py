"""What training costs on this machine, roughly: enough to weigh wider models against another compile."""

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from keras import ops

from kerashp.training._engine.blocks import n_blocks
from kerashp.training._runtime.backend import backend

# Measured beside the probe below, on one machine and over 27 populations of perceptrons: what else there is
# to compile and to compute takes so many times the seconds in which the probe is compiled, and products reach
# that share of its rate.
_COMPILE, _COMPILE_LAYER = 6.0, 3.0
_BLOCK_LAYER, _MEMBER_LAYER = 1.5e-4, 2e-5
_SHARE = 0.6
_PRODUCTS, _SHAPE = 200, (8, 32, 64)


@dataclass(frozen=True)
class Costs:
    """The time that populations take, of one core.

    Attributes
    ----------
    compile_seconds, layer_compile_seconds : float
        To trace and compile a graph shape, and what each product (a layer's kernel) adds.
    block_seconds : float
        A product's share of a step, whatever the members of the block have to compute.
    member_seconds : float
        Each member's share of it, whatever its size.
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
        """Seconds to compile a model of so many products."""
        return self.compile_seconds + n_layers * self.layer_compile_seconds

    def training(
        self,
        n_members: int,
        n_layers: int,
        n_weights: int,
        batch_size: int,
        n_steps: float,
        block_size: int | None = None,
    ) -> float:
        """Seconds of so many steps of so many members, in blocks of that size, or as a population has them.

        A weight takes part in a product and a sum for each row, forward, and twice as many backward.
        """
        products = 6 * n_weights * batch_size / self.flops_per_second
        number = n_blocks(n_members, 1) if block_size is None else -(-n_members // block_size)
        blocks = number * n_layers * self.block_seconds
        return n_steps * (blocks + n_members * (n_layers * self.member_seconds + products))


@lru_cache(maxsize=1)
def measured() -> Costs:
    """The costs on this machine, by a probe that runs once a process, in tenths of a second."""
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=_SHAPE), rng.normal(size=(_SHAPE[0], _SHAPE[2], _SHAPE[2]))
    arguments = [array.astype("float32") for array in (x, kernel)]

    def products(x: Any, kernel: Any) -> list[Any]:
        return list(backend().repeat(_PRODUCTS, lambda _, x: (ops.tanh(ops.matmul(x, kernel)),), (x,)))

    began = time.perf_counter()
    compiled = backend().compiled(products, arguments)
    times = [began]
    for _ in range(4):
        backend().fetched(compiled(*arguments))
        times.append(time.perf_counter())
    first, *others = np.diff(times)
    rate = 2 * _PRODUCTS * int(np.prod(_SHAPE)) * _SHAPE[2] / min(others)
    return Costs(
        compile_seconds=_COMPILE * first,
        layer_compile_seconds=_COMPILE_LAYER * first,
        block_seconds=_BLOCK_LAYER * first,
        member_seconds=_MEMBER_LAYER * first,
        flops_per_second=_SHARE * rate,
    )
