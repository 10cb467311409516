"""The parts of the NTK parametrisation: kernels and biases that learn at rates of their own."""

import math
from typing import Any

import keras

from kerashp._arguments import Arguments
from kerashp.layers._initializers import constant

_CHECK = Arguments("LearnedBias")


@keras.saving.register_keras_serializable(package="kerashp")
class FanInScaling(keras.layers.Layer):
    r"""Divide the inputs of a Dense layer by the square root of their number.

    With a kernel $W$ that is $\sqrt d$ times as large as usual (`FanInScaledInitializer`), of standard normal
    numbers instead of those of a variance of $1 / d$, the Dense layer after it computes

    $$\frac{1}{\sqrt d} \, W^T x + b,$$

    the same as usual, and learns at another rate. This is the NTK parametrisation.

    Parameters
    ----------
    **options
        Arguments of `keras.layers.Layer`: name, dtype.

    Attributes
    ----------
    factor : keras.Variable of shape ()
        $1 / \sqrt d$ for $d$ inputs; not trained.

    Notes
    -----
    With Adam of rate $\eta$, the usual kernel $W / \sqrt d$ moves exactly as with the rate
    $\eta / \sqrt d$ (and $\sqrt d$ times its epsilon), so that wide and narrow layers suit one rate. With
    SGD, its rate is $\eta / d$.

    References
    ----------
    A. Jacot, F. Gabriel, C. Hongler, *Neural Tangent Kernel: Convergence and Generalization in Neural
    Networks*, NeurIPS 2018, arXiv:1806.07572.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import FanInScaling
    >>> np.asarray(FanInScaling()(np.array([[2.0, 4.0, 6.0, 8.0]]))).tolist()
    [[1.0, 2.0, 3.0, 4.0]]
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        initializer = constant(fan_in_factor(input_shape[-1]))
        self.factor = self.add_weight(name="factor", shape=(), initializer=initializer, trainable=False)

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config())  # otherwise Keras derives one, which may lack the name


def fan_in_factor(n_inputs: int) -> float:
    """The factor of a `FanInScaling` of so many inputs."""
    return 1 / math.sqrt(n_inputs)


@keras.saving.register_keras_serializable(package="kerashp")
class FanInScaledInitializer(keras.initializers.Initializer):
    """Draw kernels by another initializer, times the square root of the number of inputs.

    After a `FanInScaling`, a Dense layer with such a kernel computes what it would with the kernel of the
    other initializer alone.

    Parameters
    ----------
    initializer : str or keras Initializer
        The other initializer.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import FanInScaledInitializer
    >>> np.asarray(FanInScaledInitializer("ones")((4, 2))).tolist()
    [[2.0, 2.0], [2.0, 2.0], [2.0, 2.0], [2.0, 2.0]]
    """

    def __init__(self, initializer: Any) -> None:
        self.initializer = keras.initializers.get(initializer)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return self.initializer(shape, dtype=dtype) * math.sqrt(shape[0])

    def get_config(self) -> dict[str, Any]:
        return {"initializer": keras.initializers.serialize(self.initializer)}


@keras.saving.register_keras_serializable(package="kerashp")
class LearnedBias(keras.layers.Layer):
    r"""Add a learned number to each feature, at a learning rate of its own.

    The output is $x_i + f b_i$ with the factor $f$ and weights $b_i$ that begin at 0.

    Parameters
    ----------
    rate_factor : float, default=0.1
        The factor $f$ > 0. RealMLP has 0.1.
    **options
        Arguments of `keras.layers.Layer`: name, dtype.

    Attributes
    ----------
    bias : keras.Variable of shape (n_features,)
        The weights $b$.

    See Also
    --------
    LearnedScale : What such a factor does with Adam and with SGD.

    References
    ----------
    D. Holzmüller, L. Grinsztajn, I. Steinwart, *Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on
    Tabular Data*, NeurIPS 2024, arXiv:2407.04491.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import LearnedBias
    >>> np.asarray(LearnedBias()(np.array([[0.5, -2.0]]))).tolist()
    [[0.5, -2.0]]
    """

    def __init__(self, rate_factor: float = 0.1, **options: Any) -> None:
        super().__init__(**options)
        self.rate_factor = _CHECK.positive("rate_factor", rate_factor)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self.bias = self.add_weight(name="bias", shape=(input_shape[-1],), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        return inputs + self.rate_factor * self.bias

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate_factor": self.rate_factor}
