"""A first space to search."""

import math
from typing import Any

from scipy.stats import loguniform

from kerashp.spaces._checks import positive_integer
from kerashp.spaces._distributions import int_loguniform

_TASKS = ("regression", "binary", "multiclass", "multilabel")

# Each optimizer's learning rates. Adam's kin divide gradients by their size: the rate is a step's length.
_OF_ADAM = (3e-4, 3e-2)
_OF_ADAGRAD = (1e-3, 1.0)  # whose steps become shorter with their number
_RATES = {
    "adadelta": (1e-2, 10.0),
    "adafactor": (1e-3, 1e-1),
    "adagrad": _OF_ADAGRAD,
    "adam": _OF_ADAM,
    "adamax": _OF_ADAM,
    "adamw": _OF_ADAM,
    "ftrl": _OF_ADAGRAD,
    "lamb": (1e-3, 1e-1),
    "lion": (3e-5, 3e-3),
    "muon": (1e-3, 1e-1),
    "nadam": _OF_ADAM,
    "rmsprop": _OF_ADAM,
    "schedulefreeadamw": _OF_ADAM,
    "sgd": (1e-4, 1.0),
}
_OF_WEIGHT_DECAY = ("adamw", "lion", "muon", "schedulefreeadamw")  # made for it; L2 in the others' loss

_DEPTHS = (1, 2)
_DROPOUT = (0.0, 0.1, 0.2, 0.4)
_NEURONS = (32, 256)  # the least of few and of many features; four times as many are the most
_BATCH_SIZES = (16, 128)  # in the middle between the two, of few and of many rows


def recommended_space(n_features: int, n_samples: int, task: str, optimizer: Any = "adam") -> dict[str, Any]:
    """A first search space for `KerasMLPClassifier` and `KerasMLPRegressor`.

    What splits a search into groups that are compiled apart, depth and batch size, has few values; what does
    not, such as rates, penalties, dropout (zero too) and widths, has many.

    | parameter | values |
    |---|---|
    | `learning_rate` | log-uniform, by the optimizer: 1e-4 to 1 for SGD, 3e-4 to 0.03 for Adam |
    | `n_hidden` | 1 or 2 |
    | `n_neurons` | log-uniform integers, from `n_features` (but 32 to 256) to four times as many |
    | `dropout` | 0, 0.1, 0.2 or 0.4 |
    | `l2` | log-uniform, 1e-5 to 0.1 |
    | `weight_decay` | instead of `l2` for AdamW, Lion, Muon and ScheduleFreeAdamW: log-uniform, 1e-3 to 1 |
    | `batch_size` | half and twice the power of two next to the root of `n_samples` (but 16 to 128) |

    Parameters
    ----------
    n_features : int
        The input's width (columns after preprocessing), 1 or more.
    n_samples : int
        Training rows, 1 or more. Batch sizes above it are left out; of fewer than 8 rows, the batch size is
        the greatest power of two among them.
    task : {"regression", "binary", "multiclass", "multilabel"}
        All four have the same space.
    optimizer : str or keras.optimizers.Optimizer, default="adam"
        The estimator's optimizer, to which the learning rates belong: a name in `keras.optimizers`, in any
        case, or an instance of one of its optimizers or of a subclass. It is no part of the space: give it to
        the estimator too.

    Returns
    -------
    dict
        Parameter name -> distribution or list, for any search of scikit-learn's or kerashp's.

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

    The ends of the ranges are kerashp's.

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
    if task not in _TASKS:
        raise ValueError(f"recommended_space: task must be one of {', '.join(_TASKS)}; got {task!r}")
    name, fewest = _name_of(optimizer), _clipped(n_features, _NEURONS)
    return {
        "learning_rate": loguniform(*_RATES[name]),
        "n_hidden": [*_DEPTHS],
        "n_neurons": int_loguniform(fewest, 4 * fewest),
        "dropout": [*_DROPOUT],
        **_penalty(name),
        "batch_size": _batch_sizes(n_samples),
    }


def _name_of(optimizer: Any) -> str:
    """The known name of an optimizer, or of the class that an instance is derived from."""
    if isinstance(optimizer, str):
        names = [optimizer.lower()]
    elif hasattr(optimizer, "apply_gradients") and not isinstance(optimizer, type):
        names = [base.__name__.lower() for base in type(optimizer).__mro__]
    else:
        raise TypeError(
            "recommended_space: optimizer must be a name such as 'adam' or an optimizer of Keras', got"
            f" {optimizer!r}"
        )
    known = next((name for name in names if name in _RATES), None)
    if known is None:
        received = repr(optimizer) if isinstance(optimizer, str) else f"a {type(optimizer).__name__}"
        raise ValueError(
            f"recommended_space: optimizer must be one of {', '.join(_RATES)}, or an instance of one; got"
            f" {received}. For another, take the space of the most similar one and replace its learning_rate"
        )
    return known


def _penalty(optimizer: str) -> dict[str, Any]:
    if optimizer in _OF_WEIGHT_DECAY:
        return {"weight_decay": loguniform(1e-3, 1.0)}
    return {"l2": loguniform(1e-5, 1e-1)}


def _batch_sizes(n_samples: int) -> list[int]:
    middle = _clipped(2 ** round(math.log2(math.sqrt(n_samples))), _BATCH_SIZES)
    sizes = [size for size in (middle // 2, 2 * middle) if size <= n_samples]
    return sizes or [2 ** (n_samples.bit_length() - 1)]


def _clipped(number: int, ends: tuple[int, int]) -> int:
    return min(max(number, ends[0]), ends[1])
