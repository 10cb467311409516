"""Private names of TensorFlow."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops
from tensorflow.python.eager import context
from tensorflow.python.ops.parallel_for import pfor


def has_started() -> bool:
    """Whether TensorFlow has been used in this process, and so has threads: `Context._initialized`."""
    return context.context_safe() is not None and context.context()._initialized


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, TensorFlow's global seed is this; afterwards the caller's sequence goes on where it was.

    It stands for `_seed` and `_rng` of the eager context. `tf.random.set_seed` cannot do it: setting the old
    seed again starts its sequence anew, and it clears the kernels that hold the position of operations with a
    seed of their own.
    """
    eager = context.context()
    before = eager._seed, getattr(eager, "_rng", None)  # there is none until a seed was set
    eager._seed, eager._rng = seed, random.Random(seed)
    try:
        yield
    finally:
        eager._seed, eager._rng = before


def optimization_barrier(tensors: list[tf.Tensor]) -> list[tf.Tensor]:
    """The tensors, computed once: XLA does not compute them anew in each kernel that reads them.

    It stands for `xla_optimization_barrier`, an operation that `tf.raw_ops` does not have.
    """
    barred: list[tf.Tensor] = gen_xla_ops.xla_optimization_barrier(input=tensors)
    return barred


@cache
def add_vector_form_of_bitcast() -> None:
    """Add what `tf.vectorized_map` lacks, so that it need not loop over members: Keras' argmax bitcasts.

    It stands for pfor's registry of converters.
    """
    if "Bitcast" not in pfor._pfor_converter_registry:
        pfor.RegisterPFor("Bitcast")(
            lambda op: pfor.wrap(tf.bitcast(op.stacked_input(0), op.get_attr("type")), True)
        )


def flat_call(concrete: Any) -> Callable[..., list[tf.Tensor]]:
    """A concrete function of flat tensors, without checks of arguments that cost as much as a short epoch.

    It stands for `call_flat` of `inference_fn`.
    """
    function = concrete.inference_fn
    return lambda *tensors: function.call_flat(*tensors, *concrete.captured_inputs)
