"""Scaling by medians and quartiles with smooth clipping."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kerashp.layers._quantiles import medians_and_factors

_LIMIT = 3.0  # of the absolute values
_LARGE = 1e15  # its square does not overflow, and the result is the limit


@keras.saving.register_keras_serializable(package="kerashp")
class RobustScaling(keras.layers.Layer):
    r"""Scale each feature by its median and quartiles, and clip it smoothly.

    With the median $m$ and the quartiles $q_1$ and $q_3$ of a feature,

    $$z = \frac{x - m}{q_3 - q_1}, \qquad \mathrm{output} = \frac{z}{\sqrt{1 + (z / 3)^2}},$$

    which is below 3 in absolute value. Where both quartiles are equal, half of the range from the minimum to
    the maximum takes the place of their difference; a feature that is constant becomes 0. Unlike the mean and
    the standard deviation of a `keras.layers.Normalization`, outliers change neither.

    Parameters
    ----------
    n_numbers : int, default=None
        The number of features, from the first on, that are scaled; the others are passed on. None: all.
    **options
        Arguments of `keras.layers.Layer`: name, dtype.

    Attributes
    ----------
    median : keras.Variable of shape (n_numbers,)
        The median of each feature; not trained. 0 before `adapt`.
    factor : keras.Variable of shape (n_numbers,)
        The reciprocal of each feature's width, 0 for a constant feature; not trained. 1 before `adapt`.

    Notes
    -----
    Quartiles are those of Hyndman and Fan's definition 2: an integer sample weight equals repeated rows.

    References
    ----------
    D. Holzmüller, L. Grinsztajn, I. Steinwart, *Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on
    Tabular Data*, NeurIPS 2024, arXiv:2407.04491.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import RobustScaling
    >>> layer = RobustScaling()
    >>> layer.adapt(np.array([[1.0], [2.0], [3.0], [4.0], [1000.0]]))
    >>> [f"{value:.2f}" for value in np.asarray(layer(np.array([[2.0], [3.0], [1000.0]]))).ravel()]
    ['-0.49', '0.00', '3.00']
    """

    def __init__(self, n_numbers: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.n_numbers = n_numbers
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        n_numbers = input_shape[-1] if self.n_numbers is None else self.n_numbers
        options: dict[str, Any] = {"shape": (n_numbers,), "trainable": False}
        self.median = self.add_weight(name="median", initializer="zeros", **options)
        self.factor = self.add_weight(name="factor", initializer="ones", **options)

    def adapt(self, data: Any, sample_weight: Any = None) -> None:
        """Set the medians and factors to those of these rows.

        Parameters
        ----------
        data : array-like of shape (n_samples, ..., n_features)
            The training rows. All axes but the last are those of samples.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, if `data` has two axes.
        """
        data = np.asarray(data)
        if not self.built:
            self.build((None, *data.shape[1:]))
        weight = None if sample_weight is None else np.asarray(sample_weight)
        rows = data.reshape(-1, data.shape[-1])[:, : self.n_numbers]
        self.set_weights(list(medians_and_factors(rows, self.variable_dtype, weight)))

    def call(self, inputs: Any) -> Any:
        if self.n_numbers is None:
            return self._scaled(inputs)
        others = inputs[..., self.n_numbers :]
        return ops.concatenate([self._scaled(inputs[..., : self.n_numbers]), others], axis=-1)

    def _scaled(self, inputs: Any) -> Any:
        scaled = ops.clip((inputs - self.median) * self.factor, -_LARGE, _LARGE)
        return scaled / ops.sqrt(1.0 + ops.square(scaled / _LIMIT))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n_numbers": self.n_numbers}
