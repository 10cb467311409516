"""Private names of TensorFlow."""

import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops
from tensorflow.python.client import device_lib
from tensorflow.python.client import pywrap_tf_session as session
from tensorflow.python.eager import context
from tensorflow.python.framework import config
from tensorflow.python.ops.parallel_for import pfor

_XLA_FLAGS = "TF_XLA_FLAGS"


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


@cache
def gpu_memory() -> int | None:
    """Bytes that TensorFlow may take of the first GPU: `device_lib`; `tf.config` does not know them.

    None where TensorFlow lists no GPU there.
    """
    tf.config.list_logical_devices()  # by the user's settings of memory, which `device_lib` does not know
    limits = (
        device.memory_limit for device in device_lib.list_local_devices() if device.device_type == "GPU"
    )
    return next(limits, None)


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


def register_function(definition: Any) -> None:
    """Let this process call a FunctionDef by its name: `add_function_def` of the eager context."""
    context.context().add_function_def(definition)


def remove_function(name: str) -> None:
    """Forget a function that was registered: `remove_function` of the eager context."""
    context.context().remove_function(name)


def call_function(name: str, tensors: Sequence[tf.Tensor], n_outputs: int) -> list[tf.Tensor]:
    """The results of a registered function: `call_function` of the eager context."""
    outputs: list[tf.Tensor] = context.context().call_function(name.encode(), list(tensors), n_outputs)
    return outputs


def is_op_determinism_enabled() -> bool:
    """Whether `tf.config.experimental.enable_op_determinism` was called: `is_op_determinism_enabled`."""
    return bool(config.is_op_determinism_enabled())


def read_xla_flags(flags: str) -> bool:
    """Have TensorFlow read the flags of XLA in this text; False if it has read the environment's before.

    It reads them once, at its first operation or for `TF_GetXlaConstantFoldingDisabled`, which shows here
    whether it has read these.
    """
    before = os.environ.get(_XLA_FLAGS)
    os.environ[_XLA_FLAGS] = f"{flags} --tf_xla_disable_constant_folding=true"
    try:
        were_read = bool(session.TF_GetXlaConstantFoldingDisabled())
    finally:
        if before is None:
            del os.environ[_XLA_FLAGS]
        else:
            os.environ[_XLA_FLAGS] = before
    if were_read:
        session.TF_SetXlaConstantFoldingDisabled(False)
    return were_read


@contextmanager
def without_constant_folding() -> Iterator[None]:
    """Inside, TensorFlow leaves constants to XLA: `TF_SetXlaConstantFoldingDisabled`.

    The setting is the process's: it is restored when the last of several threads leaves.
    """
    with _FOLDING.lock:
        if _FOLDING.n_inside == 0:
            _FOLDING.disabled_before = bool(session.TF_GetXlaConstantFoldingDisabled())
            session.TF_SetXlaConstantFoldingDisabled(True)
        _FOLDING.n_inside += 1
    try:
        yield
    finally:
        with _FOLDING.lock:
            _FOLDING.n_inside -= 1
            if _FOLDING.n_inside == 0:
                session.TF_SetXlaConstantFoldingDisabled(_FOLDING.disabled_before)


@dataclass
class _Folding:
    """Who is inside `without_constant_folding`."""

    lock: Any = field(default_factory=threading.Lock)
    n_inside: int = 0
    disabled_before: bool = False


_FOLDING = _Folding()
