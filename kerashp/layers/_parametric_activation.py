"""An activation that each neuron mixes with the identity, by a weight of its own."""

from typing import Any

import keras
from keras import ops

from kerashp._arguments import Arguments

_CHECK = Arguments("ParametricActivation")


@keras.saving.register_keras_serializable(package="kerashp")
class ParametricActivation(keras.layers.Activation):
    r"""Apply an activation, and let each feature learn how much of it.

    The output is $x_i + \alpha_i (\sigma(x_i) - x_i)$ with the activation $\sigma$. In
    $\alpha_i = 1 + f a_i$, the weights $a_i$ begin at 0: the output is $\sigma(x_i)$ at first, and the
    identity where $\alpha_i = 0$.

    Parameters
    ----------
    activation : str or callable
        The activation, as in `keras.layers.Activation`.
    rate_factor : float, default=0.1
        The factor $f$ > 0, by which $\alpha$ learns slower, with Adam, than other weights: see
        `LearnedScale`. RealMLP has 0.1.
    **options
        Arguments of `keras.layers.Layer`: name, dtype, activity_regularizer.

    Attributes
    ----------
    mixture : keras.Variable of shape (n_features,)
        The weights $a$.

    Notes
    -----
    Weight decay, if there is any, draws $\alpha$ towards 1, the plain activation; RealMLP's code draws it
    towards 0, at a tenth of the rate.

    References
    ----------
    D. Holzmüller, L. Grinsztajn, I. Steinwart, *Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on
    Tabular Data*, NeurIPS 2024, arXiv:2407.04491.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import ParametricActivation
    >>> layer, x = ParametricActivation("relu"), np.array([[-2.0, 3.0]])
    >>> np.asarray(layer(x)).tolist()
    [[0.0, 3.0]]
    >>> layer.set_weights([np.array([-5.0, -5.0])])  # alpha = 0.5
    >>> np.asarray(layer(x)).tolist()
    [[-1.0, 3.0]]
    """

    def __init__(self, activation: Any, rate_factor: float = 0.1, **options: Any) -> None:
        super().__init__(activation, **options)
        self.rate_factor = _CHECK.positive("rate_factor", rate_factor)

    def build(self, input_shape: Any) -> None:
        self.mixture = self.add_weight(name="mixture", shape=(input_shape[-1],), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        share = 1 + self.rate_factor * ops.convert_to_tensor(self.mixture)
        return inputs + share * (super().call(inputs) - inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate_factor": self.rate_factor}
