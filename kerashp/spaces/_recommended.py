"""A recommended search space."""

import math
from typing import Any

from scipy.stats import loguniform

from kerashp.spaces._checks import known_task, positive_integer
from kerashp.spaces._distributions import int_loguniform

# Learning rates by optimizer. Adam and its variants divide gradients by their size: the rate is a step's
# length.
_ADAM_RATES = (3e-4, 3e-2)
_ADAGRAD_RATES = (1e-3, 1.0)  # its steps become shorter as training goes on
_RATES = {
    "adadelta": (1e-2, 10.0),
    "adafactor": (1e-3, 1e-1),
    "adagrad": _ADAGRAD_RATES,
    "adam": _ADAM_RATES,
    "adamax": _ADAM_RATES,
    "adamw": _ADAM_RATES,
    "ftrl": _ADAGRAD_RATES,
    "lamb": (1e-3, 1e-1),
    "lion": (3e-5, 3e-3),
    "muon": (1e-3, 1e-1),
    "nadam": _ADAM_RATES,
    "rmsprop": _ADAM_RATES,
    "schedulefreeadamw": _ADAM_RATES,
    "sgd": (1e-4, 1.0),
}
_WITH_WEIGHT_DECAY = ("adamw", "lion", "muon", "schedulefreeadamw")  # the others get L2 in the loss

_DEPTHS = (1, 2)
_DROPOUT = (0.0, 0.1, 0.2, 0.4)
_NEURONS = (32, 256)  # limits of the smallest width; the largest width is four times as large
_BATCH_SIZES = (16, 128)  # limits of the middle between the two batch sizes
_EMBEDDING_DIMS = (4, 16)


def recommended_space(
    n_features: int, n_samples: int, task: str, optimizer: Any = "adam", *, embeds_categories: bool = False
) -> dict[str, Any]:
    """A recommended first search space for `KerasMLPClassifier` and `KerasMLPRegressor`.

    Batch size has few values, since each is compiled separately. Learning rates, penalties, dropout rates
    (including 0) and widths have many.

    - `learning_rate`: log-uniform, by the optimizer: 1e-4 to 1 for SGD, 3e-4 to 0.03 for Adam;
    - `n_hidden`: 1 or 2;
    - `n_neurons`: log-uniform integers, from `n_features` (limited to 32 to 256) to four times as many;
    - `dropout`: 0, 0.1, 0.2 or 0.4;
    - `l2`: log-uniform, 1e-5 to 0.1;
    - `weight_decay`: instead of `l2` for AdamW, Lion, Muon and ScheduleFreeAdamW: log-uniform, 1e-3 to 1;
    - `batch_size`: half and twice the power of two next to the root of `n_samples` (limited to 16 to 128);
    - `embedding_dim`: with `embeds_categories`, log-uniform integers, 4 to 16.

    Parameters
    ----------
    n_features : int
        The number of input columns after preprocessing, at least 1.
    n_samples : int
        The number of training rows, at least 1. Larger batch sizes are left out; for fewer than 8 rows, the
        batch size is the largest power of two up to `n_samples`.
    task : {"regression", "binary", "multiclass", "multilabel"}
        The task; all four have the same space.
    optimizer : str or keras.optimizers.Optimizer, default="adam"
        The estimator's optimizer, which determines the learning rates: a name in `keras.optimizers`
        (upper or lower case), or an instance of one of its optimizers or of a subclass. The space does not
        contain it: pass it to the estimator, too.
    embeds_categories : bool, default=False
        Whether the table has columns with 10 categories or more, which the estimators embed.

    Returns
    -------
    dict
        From the parameter's name to a distribution or list, for any search of scikit-learn or kerashp.

    Raises
    ------
    TypeError
        If `n_features` or `n_samples` is not an integer, or `optimizer` is neither a name nor an optimizer.
    ValueError
        If one of the numbers is below 1, or the task or the optimizer is unknown.

    References
    ----------
    Y. Bengio, *Practical Recommendations for Gradient-Based Training of Deep Architectures*, 2012
    (arXiv:1206.5533): log scales; widths at least those of the input; batches of tens to hundreds.

    A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras & TensorFlow*, ch. 10: one or two hidden
    layers of one width for a start; and dropout rates, ch. 11.

    I. Loshchilov and F. Hutter, *Decoupled Weight Decay Regularization*, 2019 (arXiv:1711.05101).

    X. Chen et al., *Symbolic Discovery of Optimization Algorithms*, 2023 (arXiv:2302.06675): Lion's rates are
    3 to 10 times smaller than AdamW's.

    The limits of the ranges are kerashp's own choice.

    Examples
    --------
    >>> from kerashp.spaces import recommended_space
    >>> space = recommended_space(n_features=64, n_samples=1797, task="multiclass")
    >>> space["n_neurons"], space["batch_size"], space["dropout"]
    (int_loguniform(low=64, high=256), [16, 64], [0.0, 0.1, 0.2, 0.4])
    >>> [float(end) for end in space["learning_rate"].support()]
    [0.0003, 0.03]
    >>> space = recommended_space(64, 1797, "multiclass", optimizer="sgd")
    >>> [float(end) for end in space["learning_rate"].support()]
    [0.0001, 1.0]
    """
    n_features = positive_integer("recommended_space", "n_features", n_features)
    n_samples = positive_integer("recommended_space", "n_samples", n_samples)
    known_task("recommended_space", task)
    name, narrowest = _optimizer_name(optimizer), _limited(n_features, _NEURONS)
    return {
        "learning_rate": loguniform(*_RATES[name]),
        "n_hidden": [*_DEPTHS],
        "n_neurons": int_loguniform(narrowest, 4 * narrowest),
        "dropout": [*_DROPOUT],
        **_penalty(name),
        "batch_size": _batch_sizes(n_samples),
        **({"embedding_dim": int_loguniform(*_EMBEDDING_DIMS)} if embeds_categories else {}),
    }


def _optimizer_name(optimizer: Any) -> str:
    """The name of an optimizer for which learning rates are recommended, from a name or an instance."""
    if isinstance(optimizer, str):
        names = [optimizer.lower()]
    elif hasattr(optimizer, "apply_gradients") and not isinstance(optimizer, type):
        names = [base.__name__.lower() for base in type(optimizer).__mro__]
    else:
        raise TypeError(
            "recommended_space: optimizer must be a name such as 'adam' or a keras.optimizers.Optimizer, got"
            f" {optimizer!r}"
        )
    name = next((name for name in names if name in _RATES), None)
    if name is None:
        received = repr(optimizer) if isinstance(optimizer, str) else f"a {type(optimizer).__name__}"
        raise ValueError(
            f"recommended_space: optimizer must be one of {', '.join(_RATES)}, or an instance of one; got"
            f" {received}. For others, take the space of the most similar one and replace its"
            " learning_rate"
        )
    return name


def _penalty(optimizer: str) -> dict[str, Any]:
    if optimizer in _WITH_WEIGHT_DECAY:
        return {"weight_decay": loguniform(1e-3, 1.0)}
    return {"l2": loguniform(1e-5, 1e-1)}


def _batch_sizes(n_samples: int) -> list[int]:
    middle = _limited(2 ** round(math.log2(math.sqrt(n_samples))), _BATCH_SIZES)
    sizes = [size for size in (middle // 2, 2 * middle) if size <= n_samples]
    return sizes or [2 ** (n_samples.bit_length() - 1)]


def _limited(number: int, limits: tuple[int, int]) -> int:
    return min(max(number, limits[0]), limits[1])
