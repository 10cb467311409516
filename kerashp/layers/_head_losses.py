"""Losses of networks with several heads: the mean of the losses of the heads."""

from typing import Any

import keras
from keras import ops

from kerashp._compat.keras import attribute_of, mask_of, set_mask
from kerashp.layers._heads import MEMBERS

_register = keras.saving.register_keras_serializable(package="kerashp")


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


@_register
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


@_register
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


@_register
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


@_register
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
