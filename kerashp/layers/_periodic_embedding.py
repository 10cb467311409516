"""Periodic embeddings of numbers."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import ops

from kerashp._arguments import Arguments

_CHECK = Arguments("PeriodicEmbedding")
_RATE_FACTOR = 0.1  # of the learning rate of these weights
# Of sin(2 pi x) / x for -1/4 <= x <= 1/4, a polynomial in x * x by Chebyshev's approximation.
_SINE = (6.28318528026, -41.3416806681, 81.6024807429, -76.5812845593, 39.7607220755)


@keras.saving.register_keras_serializable(package="kerashp")
class PeriodicEmbedding(keras.layers.Layer):
    r"""Add smooth periodic functions of each number, with weights of its own, beside the number itself.

    The number $x_i$ becomes

    $$(x_i, \; V_i \cos(2 \pi w_i x_i + b_i) + c_i),$$

    with a vector of frequencies $w_i$ and one of phases $b_i$, and a linear map $(V_i, c_i)$ to
    `n_outputs - 1` values. It is the PBLD of RealMLP (periodic, bias, linear, DenseNet).

    Parameters
    ----------
    n_frequencies : int, default=16
        The length of $w_i$ and $b_i$.
    n_outputs : int, default=4
        The number of outputs for each number, itself included; at least 2.
    frequency_initializer : keras Initializer, default=None
        Of the frequencies $w$; None: normal, with a standard deviation of 0.1. The larger it is, the less
        smooth are the functions at first.
    phase_initializer : keras Initializer, default=None
        Of the phases $b$; None: uniform from $-\pi$ to $\pi$.
    kernel_initializer, bias_initializer : keras Initializer, default=None
        Of $V$ and $c$; None: uniform, with a limit of 1 / sqrt(n_frequencies).
    n_numbers : int, default=None
        The number of features, from the first on, that are embedded; the others are passed on, after the
        embeddings. None: all.
    **options
        Arguments of `keras.layers.Layer`: name, dtype.

    Attributes
    ----------
    frequencies, phases : keras.Variable of shape (n_numbers, n_frequencies)
        Ten times $w$ and $b$.
    kernel : keras.Variable of shape (n_numbers, n_frequencies, n_outputs - 1)
        Ten times $V$.
    bias : keras.Variable of shape (n_numbers, n_outputs - 1)
        Ten times $c$.

    Notes
    -----
    As in RealMLP, these weights learn at a tenth of the learning rate. They are stored as ten times their
    values, for which Adam's steps have the usual size: with Adam of rate $\eta$, the values move exactly as
    with the rate $\eta / 10$ (and 10 times its epsilon).

    References
    ----------
    Y. Gorishniy, I. Rubachev, A. Babenko, *On Embeddings for Numerical Features in Tabular Deep Learning*,
    NeurIPS 2022, arXiv:2203.05556. D. Holzmüller, L. Grinsztajn, I. Steinwart, *Better by Default: Strong
    Pre-Tuned MLPs and Boosted Trees on Tabular Data*, NeurIPS 2024, arXiv:2407.04491.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import PeriodicEmbedding
    >>> outputs = np.asarray(PeriodicEmbedding()(np.array([[0.5, -2.0, 1.0]])))
    >>> outputs.shape, outputs[0, ::4].tolist()
    ((1, 12), [0.5, -2.0, 1.0])
    """

    def __init__(
        self,
        n_frequencies: int = 16,
        n_outputs: int = 4,
        frequency_initializer: Any = None,
        phase_initializer: Any = None,
        kernel_initializer: Any = None,
        bias_initializer: Any = None,
        n_numbers: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.n_frequencies = _CHECK.integer("n_frequencies", n_frequencies, at_least=1)
        self.n_outputs = _CHECK.integer("n_outputs", n_outputs, at_least=2)
        self.n_numbers = n_numbers
        limit = 1 / math.sqrt(n_frequencies)
        random = keras.initializers.RandomUniform
        self.frequency_initializer = _initializer(
            frequency_initializer, lambda: keras.initializers.RandomNormal(stddev=0.1)
        )
        self.phase_initializer = _initializer(phase_initializer, lambda: random(-math.pi, math.pi))
        self.kernel_initializer = _initializer(kernel_initializer, lambda: random(-limit, limit))
        self.bias_initializer = _initializer(bias_initializer, lambda: random(-limit, limit))
        self.input_spec = keras.layers.InputSpec(ndim=2)
        self.supports_masking = True

    @property
    def weight_initializers(self) -> list[Callable[..., Any]]:
        """What draws the initial value of each weight, in their order.

        Returns
        -------
        list of callable
            Each takes a shape and a dtype.
        """
        initializers = (
            self.frequency_initializer,
            self.phase_initializer,
            self.kernel_initializer,
            self.bias_initializer,
        )
        return [partial(_stored, initializer) for initializer in initializers]

    def build(self, input_shape: Any) -> None:
        n_numbers = input_shape[-1] if self.n_numbers is None else self.n_numbers
        n_frequencies, n_functions = self.n_frequencies, self.n_outputs - 1
        frequency, phase, kernel, bias = self.weight_initializers
        of_phases = (n_numbers, n_frequencies)
        self.frequencies = self.add_weight(name="frequencies", shape=of_phases, initializer=frequency)
        self.phases = self.add_weight(name="phases", shape=of_phases, initializer=phase)
        self.kernel = self.add_weight(name="kernel", shape=(*of_phases, n_functions), initializer=kernel)
        self.bias = self.add_weight(name="bias", shape=(n_numbers, n_functions), initializer=bias)

    def call(self, inputs: Any) -> Any:
        n_numbers = self.frequencies.shape[0]
        x = ops.expand_dims(ops.transpose(inputs[:, :n_numbers]), 1)  # rows last, which XLA computes fastest
        frequencies, phases = (
            ops.expand_dims(_RATE_FACTOR * factor * weight, -1)
            for factor, weight in ((1, self.frequencies), (1 / (2 * math.pi), self.phases))
        )
        waves = _cosine(x * frequencies + phases)
        functions = ops.einsum("ifo,ifb->iob", _RATE_FACTOR * self.kernel, waves)
        functions = functions + ops.expand_dims(_RATE_FACTOR * self.bias, -1)
        embedded = ops.concatenate([x, functions], axis=1)
        embedded = ops.transpose(ops.reshape(embedded, (n_numbers * self.n_outputs, -1)))
        if self.n_numbers is None:
            return embedded
        return ops.concatenate([embedded, inputs[:, n_numbers:]], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        n_numbers = input_shape[-1] if self.n_numbers is None else self.n_numbers
        return (*input_shape[:-1], n_numbers * self.n_outputs + input_shape[-1] - n_numbers)

    def get_config(self) -> dict[str, Any]:
        initializers = (
            "frequency_initializer",
            "phase_initializer",
            "kernel_initializer",
            "bias_initializer",
        )
        return {
            **super().get_config(),
            "n_frequencies": self.n_frequencies,
            "n_outputs": self.n_outputs,
            **{name: keras.initializers.serialize(getattr(self, name)) for name in initializers},
            "n_numbers": self.n_numbers,
        }


def _cosine(turns: Any) -> Any:
    """cos(2 pi turns); in single precision by a polynomial with an error of 1.5e-7.

    On a CPU, XLA computes the cosines of an array one by one, but polynomials of several numbers at once.
    """
    if keras.backend.standardize_dtype(turns.dtype) != "float32":
        return ops.cos(2 * math.pi * turns)
    angle = 0.25 - ops.abs(turns - ops.round(turns))  # of the sine, in turns from -1/4 to 1/4
    square = ops.square(angle)
    value = ops.full_like(square, _SINE[-1])
    for coefficient in reversed(_SINE[:-1]):
        value = value * square + coefficient
    return angle * value


def _initializer(given: Any, default: Callable[[], Any]) -> Any:
    return default() if given is None else keras.initializers.get(given)


def _stored(initializer: Any, shape: Any, dtype: Any = None) -> Any:
    return initializer(shape, dtype=dtype) / _RATE_FACTOR
