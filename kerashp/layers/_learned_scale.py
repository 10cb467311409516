"""A learned scale of each feature, with a learning rate of its own."""

from typing import Any

import keras
from keras import ops

from kerashp._arguments import Arguments
from kerashp.layers._initializers import constant

_CHECK = Arguments("LearnedScale")


@keras.saving.register_keras_serializable(package="kerashp")
class LearnedScale(keras.layers.Layer):
    r"""Multiply each feature by a learned number that begins at 1 and learns at a rate of its own.

    The output is $x_i \cdot f v_i$ with the factor $f$ and weights $v_i$ that begin at $1 / f$. In front of
    the first Dense layer, the scales $f v_i$ let a network find out early which features matter.

    Parameters
    ----------
    rate_factor : float, default=6.0
        The factor $f$ > 0. RealMLP has 6.
    **options
        Arguments of `keras.layers.Layer`: name, dtype.

    Attributes
    ----------
    scale : keras.Variable of shape (n_features,)
        The weights $v$.

    Notes
    -----
    With Adam of rate $\eta$ and epsilon $\epsilon$, the scales move exactly as weights of their own would
    with the rate $f \eta$ and epsilon $\epsilon / f$: their gradients are divided by $f$, which Adam's
    normalisation cancels, and their steps multiplied by it. The same is true of other optimizers that
    normalise gradients (RMSprop, Nadam, Lion), without momentum or with it. With SGD, which does not, the
    rate is $f^2 \eta$. Decoupled weight decay has the same strength as for other weights.

    References
    ----------
    D. Holzmüller, L. Grinsztajn, I. Steinwart, *Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on
    Tabular Data*, NeurIPS 2024, arXiv:2407.04491.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import LearnedScale
    >>> np.asarray(LearnedScale()(np.array([[0.5, -2.0]]))).tolist()
    [[0.5, -2.0]]
    """

    def __init__(self, rate_factor: float = 6.0, **options: Any) -> None:
        super().__init__(**options)
        self.rate_factor = _CHECK.positive("rate_factor", rate_factor)
        self.supports_masking = True

    @property
    def weight_initializers(self) -> list[Any]:
        """What makes the initial value of each weight, in their order.

        Returns
        -------
        list of callable
            Each takes a shape and a dtype.
        """
        return [constant(1 / self.rate_factor)]

    def build(self, input_shape: Any) -> None:
        (initializer,) = self.weight_initializers
        self.scale = self.add_weight(name="scale", shape=(input_shape[-1],), initializer=initializer)

    def call(self, inputs: Any) -> Any:
        return inputs * (self.rate_factor * ops.convert_to_tensor(self.scale))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate_factor": self.rate_factor}
