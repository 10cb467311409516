"""How a model's epochs are compiled: by XLA or without it, and for many members at a time or for one.

On a CPU, TensorFlow's own convolutions, interpolations and random numbers are many times faster than XLA's
inside a loop, and an unrolled recurrent layer takes XLA seconds to compile; a short training of any model
takes less time than XLA's compiling. TensorFlow cannot run a loop over time steps for several members, on any
device.
"""

from dataclasses import dataclass, replace
from typing import Any

import keras

from kerashp._cache_folder import cache_folder
from kerashp._compat.keras import flatten_layers, layer_family, seed_generators
from kerashp.training._keras.layers import dropouts_of, is_of_layers, is_plain
from kerashp.training._runtime.backend import backend

_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3D,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)


# Measured on a CPU over the networks of benchmarks/zoo.py: XLA compiles in 0.3 s more than TensorFlow traces,
# and takes 0.1 ms less a step of most of them, 1 ms less of one with a loop.
_PAYS_FROM, _LOOP_PAYS_FROM = 3000, 500  # steps
# Where the program cache keeps what XLA compiles, it compiles once a machine. What the cache holds must not
# matter: the first run has to give the numbers of the later ones.
_KEPT_PAYS_FROM = 500


@dataclass(frozen=True)
class Mode:
    """How a graph shape is compiled.

    Attributes
    ----------
    xla : bool, default=True
        Whether XLA compiles it.
    pays_from : int, default=0
        The least number of steps for which compiling by XLA, or for many members, saves time.
    reason : str or None, default=None
        Why each compiled call trains one member; None: it trains many.
    stackable : bool, default=True
        Whether many members could be trained by one call, even if that takes longer.
    """

    xla: bool = True
    pays_from: int = 0
    reason: str | None = None
    stackable: bool = True

    def of_steps(self, n_steps: int) -> "Mode":
        """The mode for this number of steps by one program."""
        return replace(self, xla=self.xla and n_steps >= self.pays_from)

    def one_by_one(self, n_steps: int) -> str | None:
        """Why members that take this number of steps in total train one by one; None: they do not."""
        if self.reason is None and n_steps < self.pays_from:
            return (
                f"a training of fewer than {self.pays_from} steps takes less time than compiling it for many "
                "members at a time"
            )
        return self.reason


def mode_of(model: Any, x: Any) -> Mode:
    """The mode of a model's training.

    Parameters
    ----------
    model : keras.Model, built
    x : arrays of shape (n_samples, ...), or lists or dicts of them
        Rows as the model takes them. Where the layers do not determine the mode, the model is traced on such
        rows; nothing is compiled.
    """
    if backend().ONLY_XLA:
        return Mode()
    layers = flatten_layers(model)
    without_xla = next((layer for layer in layers if not layer.supports_jit), None)
    if without_xla is not None:
        return Mode(xla=False, reason=f"XLA does not compile {_kind(without_xla)}", stackable=False)
    operations = _operations(model, layers, x)
    on_cpu = backend().device_kind() == "cpu"
    convolution = on_cpu and _convolution(layers, operations)
    loop = _loop(layers, operations)
    if loop:
        pays_from = _LOOP_PAYS_FROM if on_cpu else 0
        return Mode(xla=not convolution, pays_from=pays_from, reason=loop, stackable=False)
    unrolled = on_cpu and next(
        (f"the unrolled {_kind(layer)}" for layer in layers if _is_unrolled(layer)), None
    )
    if convolution or unrolled:
        kind = convolution or unrolled
        reason = f"on a CPU, {kind} takes as long for many members at a time as for each in turn"
        return Mode(xla=False, reason=reason)
    slow = on_cpu and (_draws(model, layers) or any(map(_interpolates, layers)))
    return Mode(xla=not slow, pays_from=_least_steps() if on_cpu else 0)


def _least_steps() -> int:
    is_kept = cache_folder() is not None and backend().OBSTACLE_TO_COMPILED is None
    return min(_KEPT_PAYS_FROM, _PAYS_FROM) if is_kept else _PAYS_FROM


def _operations(model: Any, layers: list[Any], x: Any) -> frozenset[str]:
    """The types of a model's operations; none where the layers alone determine the mode."""
    if is_of_layers(model) and all(map(_is_known, layers)):
        return frozenset()
    return backend().operations(model, x)


def _is_known(layer: Any) -> bool:
    """Whether the layer is of a class of Keras, with that class's own `call`."""
    if isinstance(layer, keras.layers.Lambda) or "call" in vars(layer):
        return False
    if isinstance(layer, keras.Model):
        return is_plain(layer)
    return layer_family(layer) is not None


def _convolution(layers: list[Any], operations: frozenset[str]) -> str | None:
    """The layer or operation that convolves, if there is one."""
    for layer in layers:
        if isinstance(layer, _CONVOLUTIONS):
            return _kind(layer)
    return min((operation for operation in operations if "Conv" in operation), default=None)


def _loop(layers: list[Any], operations: frozenset[str]) -> str | None:
    """Why a loop over time steps keeps the members from one call, if there is one."""
    for layer in layers:
        if isinstance(layer, keras.layers.RNN) and not layer.unroll:
            return (
                f"{_kind(layer)} loops over time steps, and TensorFlow cannot run that loop for several "
                f"members at a time; it can with {_kind(layer)}(..., unroll=True)"
            )
    if not operations & {"While", "StatelessWhile"}:
        return None
    return (
        "the model's own code has a loop that TensorFlow may not be able to run for several members at a "
        "time; it can run a Python loop, or a recurrent layer with unroll=True"
    )


def _is_unrolled(layer: Any) -> bool:
    return isinstance(layer, keras.layers.RNN) and layer.unroll


def _interpolates(layer: Any) -> bool:
    return isinstance(layer, keras.layers.UpSampling2D) and layer.interpolation != "nearest"


def _draws(model: Any, layers: list[Any]) -> bool:
    """Whether the compiled step draws random numbers: those of most Dropout layers are drawn outside."""
    dropouts = dropouts_of(model)
    return any(seed_generators(layer) for layer in layers if layer not in dropouts)


def _kind(layer: Any) -> str:
    return type(layer).__name__
