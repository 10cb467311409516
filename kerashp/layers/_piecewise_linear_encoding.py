"""Piecewise-linear encodings of numbers."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kerashp._arguments import Arguments
from kerashp.layers._quantiles import quantiles

_CHECK = Arguments("PiecewiseLinearEncoding")


@keras.saving.register_keras_serializable(package="kerashp")
class PiecewiseLinearEncoding(keras.layers.Layer):
    r"""Encode each number by how far it has passed each of the quantile bins of its feature.

    With the edges $b_0 \le b_1 \le \dots \le b_T$ of the bins, the number $x$ becomes the $T$ numbers

    $$e_t = \frac{x - b_{t-1}}{b_t - b_{t-1}},$$

    where all but the first are at least 0, and all but the last are at most 1: 1 for the bins below that of
    $x$, 0 for those above. A bin whose edges are equal has 0. A Dense layer after it is a piecewise-linear
    function of each number, whatever the scale of that number.

    Parameters
    ----------
    n_bins : int, default=48
        The number $T$ of bins.
    n_numbers : int, default=None
        The number of features, from the first on, that are encoded; the others are passed on, after the
        encodings. None: all.
    **options
        Arguments of `keras.layers.Layer`: name, dtype.

    Attributes
    ----------
    edges : keras.Variable of shape (n_numbers, n_bins + 1)
        The edges of the bins; not trained. All are 0 before `adapt`.

    Notes
    -----
    Quantiles are those of Hyndman and Fan's definition 2: an integer sample weight equals repeated rows.

    References
    ----------
    Y. Gorishniy, I. Rubachev, A. Babenko, *On Embeddings for Numerical Features in Tabular Deep Learning*,
    NeurIPS 2022, arXiv:2203.05556, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import PiecewiseLinearEncoding
    >>> layer = PiecewiseLinearEncoding(n_bins=4)
    >>> layer.adapt(np.array([[0.0], [10.0], [20.0], [30.0], [40.0]]))
    >>> np.asarray(layer(np.array([[15.0], [50.0]]))).tolist()
    [[1.0, 0.5, 0.0, 0.0], [1.0, 1.0, 1.0, 2.0]]
    """

    def __init__(self, n_bins: int = 48, n_numbers: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.n_bins = _CHECK.integer("n_bins", n_bins, at_least=1)
        self.n_numbers = n_numbers
        self.input_spec = keras.layers.InputSpec(ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        n_numbers = input_shape[-1] if self.n_numbers is None else self.n_numbers
        shape = (n_numbers, self.n_bins + 1)
        self.edges = self.add_weight(name="edges", shape=shape, initializer="zeros", trainable=False)

    def adapt(self, data: Any, sample_weight: Any = None) -> None:
        """Set the edges of the bins to quantiles of these rows.

        Parameters
        ----------
        data : array-like of shape (n_samples, n_features)
            The training rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        """
        data = np.asarray(data)
        if not self.built:
            self.build((None, *data.shape[1:]))
        weight = None if sample_weight is None else np.asarray(sample_weight)
        self.edges.assign(quantiles(data[:, : self.n_numbers], self.n_bins, weight).T)

    def call(self, inputs: Any) -> Any:
        n_numbers = self.edges.shape[0]
        low, high = self.edges[:, :-1], self.edges[:, 1:]
        is_empty = ops.equal(low, high)
        width = ops.where(is_empty, ops.ones_like(low), high - low)
        passed = (ops.expand_dims(inputs[:, :n_numbers], -1) - low) / width
        least, most = np.zeros(self.n_bins), np.ones(self.n_bins)
        least[0], most[-1] = -np.inf, np.inf
        passed = ops.minimum(ops.maximum(passed, ops.cast(least, low.dtype)), ops.cast(most, low.dtype))
        passed = ops.where(is_empty, ops.zeros_like(passed), passed)
        encoded = ops.reshape(passed, (-1, n_numbers * self.n_bins))
        if self.n_numbers is None:
            return encoded
        return ops.concatenate([encoded, inputs[:, n_numbers:]], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        n_numbers = input_shape[-1] if self.n_numbers is None else self.n_numbers
        return (*input_shape[:-1], n_numbers * self.n_bins + input_shape[-1] - n_numbers)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n_bins": self.n_bins, "n_numbers": self.n_numbers}
