"""Initial values: of one number, of random signs, and of several kernels."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops


def constant(value: float) -> Callable[..., Any]:
    """An initializer of this number in the type of the variable; Keras' Constant rounds it to float32."""

    def filled(shape: Any, dtype: Any = None) -> Any:
        return ops.convert_to_tensor(np.full(shape, value, dtype))

    return filled


@keras.saving.register_keras_serializable(package="kerashp")
class RandomSigns(keras.initializers.Initializer):
    """Draw -1 and 1 with equal probability.

    Parameters
    ----------
    seed : int, keras.random.SeedGenerator or None, default=None
        As of Keras' initializers.

    References
    ----------
    Y. Wen, D. Tran, J. Ba, *BatchEnsemble: An Alternative Approach to Efficient Ensemble and Lifelong
    Learning*, ICLR 2020, arXiv:2002.06715.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import RandomSigns
    >>> sorted(set(np.asarray(RandomSigns(seed=0)((5, 9))).ravel().tolist()))
    [-1.0, 1.0]
    """

    def __init__(self, seed: Any = None) -> None:
        self._uniform = keras.initializers.RandomUniform(-1.0, 1.0, seed=seed)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        drawn = self._uniform(shape, dtype=dtype)
        return ops.where(drawn < 0, -ops.ones_like(drawn), ops.ones_like(drawn))

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._uniform.get_config()["seed"]}


def by_head(initializer: Any) -> Callable[..., Any]:
    """A draw of a kernel for each head: of three axes, Keras takes the first for that of an image."""

    def kernels(shape: Any, dtype: Any = None) -> Any:
        n_heads, *kernel_shape = shape
        initializers = [_of_head(initializer, head) for head in range(n_heads)]
        return ops.stack([one(tuple(kernel_shape), dtype=dtype) for one in initializers])

    return kernels


def _of_head(initializer: Any, head: int) -> Any:
    seed = getattr(initializer, "seed", None)  # Keras' initializers draw one where none is given
    if not isinstance(seed, int):
        return initializer
    return type(initializer).from_config({**initializer.get_config(), "seed": spawned_seed(seed, head)})


def spawned_seed(seed: int, index: int) -> int:
    """A seed for each of several draws, of which the first has the seed itself."""
    # Not seed + index: models with the seeds 0, 1, 2 would share layers.
    return int(np.random.SeedSequence([abs(seed), index]).generate_state(1)[0] >> 1) if index else seed
