"""Several networks in one (TabM): layers of heads that share kernels, and losses by which each learns."""

from typing import Any

import keras
from keras import ops

from kerashp._arguments import Arguments
from kerashp._compat.keras import attribute_of, mask_of, set_attribute, set_mask
from kerashp.layers._initializers import by_head

MEMBERS = "_kerashp_heads"  # attribute of a mean over heads: the outputs of each


@keras.saving.register_keras_serializable(package="kerashp")
class HeadScale(keras.layers.Layer):
    r"""Multiply the features by learned numbers of each head.

    With weights $r$ of shape `(n_heads, n_features)`, the row $x_h$ of the head $h$ becomes $x_h \odot r_h$.
    Inputs are of shape `(batch, n_heads, n_features)`, or of shape `(batch, n_features)` for the first such
    layer of a network: all heads then get the same row. A Dense layer after it has one kernel for all heads.

    Parameters
    ----------
    n_heads : int
        The number of heads.
    scale_initializer : str or keras Initializer, default="ones"
        The initializer of the scales. TabM has `RandomSigns` or a standard normal distribution for the first
        layer, so that heads differ, and ones for all others.
    **options
        Arguments of `keras.layers.Layer`: name, dtype.

    Attributes
    ----------
    scale : keras.Variable of shape (n_heads, n_features)
        The weights $r$.

    See Also
    --------
    HeadAffine : Scales and biases after a Dense layer.
    HeadOutputs : The output layer.

    References
    ----------
    Y. Gorishniy, A. Kotelnikov, A. Babenko, *TabM: Advancing Tabular Deep Learning with Parameter-Efficient
    Ensembling*, ICLR 2025, arXiv:2410.24210.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import HeadScale
    >>> np.asarray(HeadScale(n_heads=2)(np.array([[0.5, -2.0]]))).tolist()
    [[[0.5, -2.0], [0.5, -2.0]]]
    """

    def __init__(self, n_heads: int, scale_initializer: Any = "ones", **options: Any) -> None:
        super().__init__(**options)
        self.n_heads = Arguments("HeadScale").integer("n_heads", n_heads, at_least=1)
        self.scale_initializer = keras.initializers.get(scale_initializer)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        shape = self.n_heads, input_shape[-1]
        self.scale = self.add_weight(name="scale", shape=shape, initializer=self.scale_initializer)

    def call(self, inputs: Any) -> Any:
        rows = ops.expand_dims(inputs, 1) if len(inputs.shape) == 2 else inputs
        return rows * self.scale

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0], self.n_heads, input_shape[-1]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "n_heads": self.n_heads,
            "scale_initializer": keras.initializers.serialize(self.scale_initializer),
        }


@keras.saving.register_keras_serializable(package="kerashp")
class HeadAffine(keras.layers.Layer):
    r"""Multiply the features by learned numbers of each head, and add others.

    With weights $s$ and $b$ of shape `(n_heads, n_features)`, the row $x_h$ of the head $h$ becomes
    $x_h \odot s_h + b_h$. After a Dense layer without bias, whose kernel $W$ all heads share, and a
    `HeadScale` before it, a head computes $((x_h \odot r_h) W) \odot s_h + b_h$.

    Parameters
    ----------
    n_heads : int
        The number of heads.
    **options
        Arguments of `keras.layers.Layer`: name, dtype.

    Attributes
    ----------
    scale : keras.Variable of shape (n_heads, n_features)
        The weights $s$, ones at first.
    bias : keras.Variable of shape (n_heads, n_features)
        The weights $b$, zeros at first.

    See Also
    --------
    HeadScale : Scales before a Dense layer.

    References
    ----------
    Y. Gorishniy, A. Kotelnikov, A. Babenko, *TabM: Advancing Tabular Deep Learning with Parameter-Efficient
    Ensembling*, ICLR 2025, arXiv:2410.24210.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import HeadAffine
    >>> np.asarray(HeadAffine(n_heads=2)(np.array([[[0.5, -2.0], [1.0, 3.0]]]))).tolist()
    [[[0.5, -2.0], [1.0, 3.0]]]
    """

    def __init__(self, n_heads: int, **options: Any) -> None:
        super().__init__(**options)
        self.n_heads = Arguments("HeadAffine").integer("n_heads", n_heads, at_least=1)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        shape = self.n_heads, input_shape[-1]
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones")
        self.bias = self.add_weight(name="bias", shape=shape, initializer="zeros")

    def call(self, inputs: Any) -> Any:
        return inputs * self.scale + self.bias

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n_heads": self.n_heads}


@keras.saving.register_keras_serializable(package="kerashp")
class HeadOutputs(keras.layers.Layer):
    r"""An output layer of which each head has its own, and the mean over the heads.

    With kernels $W_h$ and biases $b_h$, inputs $x_h$ of shape `(batch, n_heads, n_features)` and an
    activation $a$, the output for a row is

    $$\frac{1}{H} \sum_h a(x_h W_h + b_h).$$

    In training, each head is to learn by itself: the losses `HeadMeanSquaredError`,
    `HeadBinaryCrossentropy`, `HeadCategoricalCrossentropy` and `HeadSparseCategoricalCrossentropy` are then
    means of the losses of the heads. Metrics, and losses of Keras, are of the mean.

    Parameters
    ----------
    units : int
        The width of the output.
    n_heads : int
        The number of heads.
    activation : str, callable or None, default=None
        The activation of each head's outputs.
    kernel_initializer : str or keras Initializer, default="glorot_uniform"
        The initializer of the kernel of each head. One with a seed has another seed for each head.
    kernel_regularizer : keras Regularizer or None, default=None
        The penalty on a kernel, of which the mean over the heads is taken.
    **options
        Arguments of `keras.layers.Layer`: name, dtype.

    Attributes
    ----------
    kernel : keras.Variable of shape (n_heads, n_features, units)
        The kernels $W$.
    bias : keras.Variable of shape (n_heads, units)
        The biases $b$, zeros at first.

    Notes
    -----
    The outputs of the heads are an attribute of the tensor of their mean, as Keras' masks are, which the
    losses read. A layer after this one, but for a `HeadRescaling`, makes another tensor, of which the losses
    are those of Keras.

    References
    ----------
    Y. Gorishniy, A. Kotelnikov, A. Babenko, *TabM: Advancing Tabular Deep Learning with Parameter-Efficient
    Ensembling*, ICLR 2025, arXiv:2410.24210.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import HeadOutputs, HeadScale
    >>> layer = HeadOutputs(units=1, n_heads=2)
    >>> rows = HeadScale(n_heads=2)(np.array([[0.5, -2.0]]))
    >>> layer.build(rows.shape)
    >>> layer.set_weights([np.array([[[2.0], [1.0]], [[0.0], [1.0]]]), np.array([[0.0], [2.0]])])
    >>> np.asarray(layer(rows)).tolist()  # the mean of -1 and 0
    [[-0.5]]
    """

    def __init__(
        self,
        units: int,
        n_heads: int,
        activation: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check = Arguments("HeadOutputs")
        self.units = check.integer("units", units, at_least=1)
        self.n_heads = check.integer("n_heads", n_heads, at_least=1)
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.n_heads, input_shape[-1], self.units),
            initializer=by_head(self.kernel_initializer),
            regularizer=None if self.kernel_regularizer is None else _MeanPenalty(self),
        )
        shape = self.n_heads, self.units
        self.bias = self.add_weight(name="bias", shape=shape, initializer="zeros")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        outputs = self.activation(ops.einsum("bhi,hio->bho", inputs, self.kernel) + self.bias)
        mean = ops.mean(outputs, axis=1)
        set_attribute(mean, MEMBERS, outputs if training else None)
        return mean

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0], self.units

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "n_heads": self.n_heads,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


class _MeanPenalty(keras.regularizers.Regularizer):
    """The mean over the heads of the penalty on their kernels."""

    def __init__(self, layer: HeadOutputs) -> None:
        self._layer = layer

    def __call__(self, x: Any) -> Any:
        return self._layer.kernel_regularizer(x) / self._layer.n_heads


@keras.saving.register_keras_serializable(package="kerashp")
class HeadRescaling(keras.layers.Rescaling):
    """A `keras.layers.Rescaling` after a `HeadOutputs`, which rescales the outputs of each head as well.

    The losses of heads then are of rescaled outputs. After a Rescaling of Keras, they would be of the mean.

    Parameters
    ----------
    scale, offset : float or array-like of float
        As of `keras.layers.Rescaling`: the output is scale * input + offset.
    **options
        Arguments of `keras.layers.Layer`: name, dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import HeadRescaling
    >>> np.asarray(HeadRescaling(2.0, 1.0)(np.array([[0.5]]))).tolist()
    [[2.0]]
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **options: Any) -> None:
        super().__init__(scale, offset, **options)

    def call(self, inputs: Any) -> Any:
        outputs, members = super().call(inputs), attribute_of(inputs, MEMBERS)
        set_attribute(outputs, MEMBERS, None if members is None else super().call(members))
        return outputs


class HeadLoss(keras.losses.Loss):
    """Base of losses that are, in training, the mean of the losses of the heads of a `HeadOutputs`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        members = attribute_of(y_pred, MEMBERS)
        if members is not None:
            set_mask(members, mask_of(y_pred))
            y_pred = members
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if len(y_pred.shape) < 3:
            return super().call(y_true, y_pred)
        y_true = ops.expand_dims(y_true, -1) if len(y_true.shape) == 1 else y_true
        by_head = ops.repeat(ops.expand_dims(y_true, 1), y_pred.shape[1], axis=1)
        return ops.mean(super().call(by_head, y_pred), axis=1)


@keras.saving.register_keras_serializable(package="kerashp")
class HeadMeanSquaredError(HeadLoss, keras.losses.MeanSquaredError):
    r"""Mean squared error, in training the mean over the heads of a `HeadOutputs`.

    With the predictions $\hat y_h$ of $H$ heads for a row, the loss of the row is

    $$\frac{1}{H} \sum_h \ell(y, \hat y_h),$$

    where $\ell$ is Keras' loss; each head thus learns by itself. Of predictions that are no training outputs
    of a `HeadOutputs`, as in validation, it is Keras' loss, $\ell(y, \hat y)$.

    Parameters
    ----------
    **options
        As of `keras.losses.MeanSquaredError`.

    References
    ----------
    Y. Gorishniy, A. Kotelnikov, A. Babenko, *TabM: Advancing Tabular Deep Learning with Parameter-Efficient
    Ensembling*, ICLR 2025, arXiv:2410.24210.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import HeadMeanSquaredError
    >>> loss = HeadMeanSquaredError()
    >>> heads = np.array([[[1.0], [3.0]]])  # of a row with the target 2
    >>> float(loss(np.array([[2.0]]), heads)), float(loss(np.array([[2.0]]), heads.mean(axis=1)))
    (1.0, 0.0)
    """


@keras.saving.register_keras_serializable(package="kerashp")
class HeadBinaryCrossentropy(HeadLoss, keras.losses.BinaryCrossentropy):
    r"""Binary cross-entropy, in training the mean over the heads of a `HeadOutputs`.

    See `HeadMeanSquaredError`, with Keras' binary cross-entropy for the loss of a head.

    Parameters
    ----------
    **options
        As of `keras.losses.BinaryCrossentropy`.

    References
    ----------
    Y. Gorishniy, A. Kotelnikov, A. Babenko, *TabM: Advancing Tabular Deep Learning with Parameter-Efficient
    Ensembling*, ICLR 2025, arXiv:2410.24210.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import HeadBinaryCrossentropy
    >>> round(float(HeadBinaryCrossentropy()(np.array([[1.0]]), np.array([[[0.5], [0.25]]]))), 3)
    1.04
    """


@keras.saving.register_keras_serializable(package="kerashp")
class HeadCategoricalCrossentropy(HeadLoss, keras.losses.CategoricalCrossentropy):
    r"""Categorical cross-entropy, in training the mean over the heads of a `HeadOutputs`.

    See `HeadMeanSquaredError`, with Keras' categorical cross-entropy for the loss of a head.

    Parameters
    ----------
    **options
        As of `keras.losses.CategoricalCrossentropy`.

    References
    ----------
    Y. Gorishniy, A. Kotelnikov, A. Babenko, *TabM: Advancing Tabular Deep Learning with Parameter-Efficient
    Ensembling*, ICLR 2025, arXiv:2410.24210.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import HeadCategoricalCrossentropy
    >>> heads = np.array([[[0.5, 0.5], [0.25, 0.75]]])
    >>> round(float(HeadCategoricalCrossentropy()(np.array([[1.0, 0.0]]), heads)), 3)
    1.04
    """


@keras.saving.register_keras_serializable(package="kerashp")
class HeadSparseCategoricalCrossentropy(HeadLoss, keras.losses.SparseCategoricalCrossentropy):
    r"""Sparse categorical cross-entropy, in training the mean over the heads of a `HeadOutputs`.

    See `HeadMeanSquaredError`, with Keras' sparse categorical cross-entropy for the loss of a head.

    Parameters
    ----------
    **options
        As of `keras.losses.SparseCategoricalCrossentropy`.

    References
    ----------
    Y. Gorishniy, A. Kotelnikov, A. Babenko, *TabM: Advancing Tabular Deep Learning with Parameter-Efficient
    Ensembling*, ICLR 2025, arXiv:2410.24210.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.layers import HeadSparseCategoricalCrossentropy
    >>> heads = np.array([[[0.5, 0.5], [0.25, 0.75]]])
    >>> round(float(HeadSparseCategoricalCrossentropy()(np.array([0]), heads)), 3)
    1.04
    """


# The losses of heads in place of those of Keras.
LOSS_OF_HEADS: dict[type, type] = {
    keras.losses.MeanSquaredError: HeadMeanSquaredError,
    keras.losses.BinaryCrossentropy: HeadBinaryCrossentropy,
    keras.losses.CategoricalCrossentropy: HeadCategoricalCrossentropy,
    keras.losses.SparseCategoricalCrossentropy: HeadSparseCategoricalCrossentropy,
}
