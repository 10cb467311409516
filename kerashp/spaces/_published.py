"""Search spaces of published networks for tables."""

from typing import Any

from scipy.stats import loguniform, uniform

from kerashp.spaces._checks import known_task
from kerashp.spaces._distributions import one_minus_loguniform

# Equally far on a logarithmic scale.
_SMOOTHING_VALUES = (0.005, 0.0106, 0.0224, 0.0473, 0.1)
_WEIGHT_DECAYS = (1e-4, 4.6e-4, 2.2e-3, 1e-2, 4.6e-2, 0.1)
_DROPOUT_RATES = (0.05, 0.15, 0.25, 0.35, 0.45, 0.5)


def realmlp_space(task: str, source: str = "tabarena") -> dict[str, Any]:
    """A published search space of RealMLP, for perceptrons with the parameters of `kerashp.presets.realmlp`.

    Values that are repeated in a list are drawn more often. With "tabarena":

    - `learning_rate`: log-uniform, 0.02 to 0.3;
    - `n_hidden`: 2, 3 or 4; `n_neurons`: 256, 384 or 512;
    - `activation`: "mish";
    - `dropout`: uniform, 0 to 0.5;
    - `weight_decay`: log-uniform, 0.001 to 0.05;
    - `beta_2`: 1 - `beta_2` is log-uniform, 0.005 to 0.05;
    - `embedding_sigma`: log-uniform, 0.01 to 50;
    - `input_scale_rate`: log-uniform, 2 to 10;
    - `label_smoothing`, for classes: 0, or as probably one of 5 values from 0.005 to 0.1.

    All of them are numbers, but for the depth, so that the candidates train together. With "paper":

    - `learning_rate`: log-uniform, 0.02 to 0.3;
    - `n_neurons`: three layers of 256 (6 times of 10), five of 64 (2) or one of 512 (2), with `n_hidden=1`,
      since these sequences set the depth;
    - `activation`: "relu", "selu" or "mish";
    - `dropout`: 0 (3 times of 10), 0.15 (5) or 0.3 (2);
    - `weight_decay`: 0 or 0.02;
    - `numeric_embedding`: "none" (once of 4 times) or "periodic" (3);
    - `embedding_sigma`: log-uniform, 0.05 to 0.5;
    - `input_scale_rate`: 6 (3 times of 5) or None (2);
    - `label_smoothing`, for classes: 0 (3 times of 10) or 0.1 (7).

    Parameters
    ----------
    task : {"regression", "binary", "multiclass", "multilabel"}
        The task.
    source : {"tabarena", "paper"}, default="tabarena"
        "paper" is the space of the paper of RealMLP, "tabarena" the later one of its authors for the
        benchmark TabArena.

    Returns
    -------
    dict
        From the parameter's name to a distribution or list, for any search of scikit-learn or kerashp that
        draws candidates.

    Raises
    ------
    ValueError
        If the task or the source is unknown.

    Notes
    -----
    What the published spaces have and the estimators do not: with "tabarena", the rate of the first layer and
    that of the embeddings (`first_layer_lr_factor`, `plr_lr_factor`), a schedule of the label smoothing
    (`ls_eps_sched`), a continuous range of it, and, for half of the candidates, larger embeddings and up to
    512 epochs with early stopping (`plr_hidden_1`, `plr_hidden_2`, `n_epochs`); with "paper", two more
    kinds of periodic embeddings ("pl", "plr"), whose share "periodic" has.

    See Also
    --------
    kerashp.presets.realmlp : The default values of all parameters.
    recommended_space : A space for the defaults of the perceptrons.

    References
    ----------
    "paper": D. Holzmüller, L. Grinsztajn and I. Steinwart, *Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data*, NeurIPS 2024, arXiv:2407.04491.

    "tabarena": N. Erickson et al., *TabArena: A Living Benchmark for Machine Learning on Tabular Data*, 2025,
    arXiv:2506.16791.

    Both are in pytabkit 1.7.2: `RealMLPParamSampler` with the names "default" and "tabarena".

    Examples
    --------
    >>> from kerashp.spaces import realmlp_space
    >>> space = realmlp_space("regression")
    >>> space["n_hidden"], space["n_neurons"], space["beta_2"]
    ([2, 3, 4], [256, 384, 512], one_minus_loguniform(low=0.95, high=0.995))
    >>> realmlp_space("binary", "paper")["dropout"]
    [0.0, 0.0, 0.0, 0.15, 0.15, 0.15, 0.15, 0.15, 0.3, 0.3]
    """
    known_task("realmlp_space", task)
    if source not in ("tabarena", "paper"):
        raise ValueError(f"realmlp_space: source must be 'tabarena' or 'paper', got {source!r}")
    space = _tabarena_space() if source == "tabarena" else _paper_space()
    if task == "regression":
        del space["label_smoothing"]
    return space


def _tabarena_space() -> dict[str, Any]:
    return {
        "learning_rate": loguniform(0.02, 0.3),
        "n_hidden": [2, 3, 4],
        "n_neurons": [256, 384, 512],
        "activation": ["mish"],
        "dropout": uniform(0.0, 0.5),
        "weight_decay": loguniform(0.001, 0.05),
        "beta_2": one_minus_loguniform(0.95, 0.995),
        "embedding_sigma": loguniform(0.01, 50.0),
        "input_scale_rate": loguniform(2.0, 10.0),
        "label_smoothing": [*(0.0 for _ in _SMOOTHING_VALUES), *_SMOOTHING_VALUES],
    }


def _paper_space() -> dict[str, Any]:
    return {
        "learning_rate": loguniform(0.02, 0.3),
        "n_hidden": [1],
        "n_neurons": 6 * [(256, 256, 256)] + 2 * [(64, 64, 64, 64, 64)] + 2 * [(512,)],
        "activation": ["relu", "selu", "mish"],
        "dropout": 3 * [0.0] + 5 * [0.15] + 2 * [0.3],
        "weight_decay": [0.0, 0.02],
        "numeric_embedding": ["none"] + 3 * ["periodic"],
        "embedding_sigma": loguniform(0.05, 0.5),
        "input_scale_rate": 3 * [6.0] + 2 * [None],
        "label_smoothing": 3 * [0.0] + 7 * [0.1],
    }


def tabm_space(task: str, source: str = "tabarena") -> dict[str, Any]:
    """A published search space of TabM, for perceptrons with the parameters of `kerashp.presets.tabm`.

    Values that are repeated in a list are drawn more often. With "tabarena":

    - `learning_rate`: log-uniform, 1e-4 to 3e-3;
    - `n_hidden`: 2, 3, 4 or 5; `n_neurons`: 128 to 1024, in steps of 16;
    - `dropout`: 0, or as probably one of 6 values from 0.05 to 0.5;
    - `weight_decay`: 0, or as probably one of 6 values from 1e-4 to 0.1;
    - `numeric_embedding`: "piecewise"; `embedding_bins`: 8, 32 or 128.

    All of them are numbers, but for the depth and the number of bins: candidates of one number of bins train
    together. With "paper", TabM without embeddings:

    - `learning_rate`: log-uniform, 1e-4 to 5e-3;
    - `n_hidden`: 1 to 5; `n_neurons`: 64 to 1024, in steps of 16;
    - `dropout`, `weight_decay`: as above.

    The number of `heads` is not tuned: the authors advise to search with a fixed one, 32, or with 16 or 24 to
    save time.

    Parameters
    ----------
    task : {"regression", "binary", "multiclass", "multilabel"}
        The task; the spaces are the same for all.
    source : {"tabarena", "paper"}, default="tabarena"
        "paper" is the space of the paper of TabM, "tabarena" that of the benchmark TabArena.

    Returns
    -------
    dict
        From the parameter's name to a distribution or list, for any search of scikit-learn or kerashp that
        draws candidates.

    Raises
    ------
    ValueError
        If the task or the source is unknown.

    Notes
    -----
    What the published spaces have and this has not: continuous ranges of dropout and weight decay beside 0.
    That of TabArena is for TabM-mini, which has only the first scales, and has any number of bins from 2 to
    128, and learned embeddings of 8 to 32 numbers (`d_embedding`); its batches have 32 rows for up to 2,800
    rows of data, 64 for up to 4,500, 128 for up to 6,400, 256 for up to 32,000, 512 for up to 108,000, and
    1024 above.

    See Also
    --------
    kerashp.presets.tabm : The default values of all parameters.
    realmlp_space : Those of RealMLP.

    References
    ----------
    "paper": Y. Gorishniy, A. Kotelnikov and A. Babenko, *TabM: Advancing Tabular Deep Learning with
    Parameter-Efficient Ensembling*, ICLR 2025, arXiv:2410.24210, with the rates of the README of tabm 0.0.3.

    "tabarena": N. Erickson et al., *TabArena: A Living Benchmark for Machine Learning on Tabular Data*, 2025,
    arXiv:2506.16791; in pytabkit 1.7.3, `RandomParamsTabMAlgInterface` with the name "tabarena".

    Examples
    --------
    >>> from kerashp.spaces import tabm_space
    >>> space = tabm_space("regression")
    >>> space["n_hidden"], space["embedding_bins"]
    ([2, 3, 4, 5], [8, 32, 128])
    >>> [float(rate) for rate in tabm_space("binary", "paper")["learning_rate"].support()]
    [0.0001, 0.005]
    """
    known_task("tabm_space", task)
    if source not in ("tabarena", "paper"):
        raise ValueError(f"tabm_space: source must be 'tabarena' or 'paper', got {source!r}")
    is_paper = source == "paper"
    space: dict[str, Any] = {
        "learning_rate": loguniform(1e-4, 5e-3 if is_paper else 3e-3),
        "n_hidden": [1, 2, 3, 4, 5] if is_paper else [2, 3, 4, 5],
        "n_neurons": list(range(64 if is_paper else 128, 1025, 16)),
        "dropout": [*(0.0 for _ in _DROPOUT_RATES), *_DROPOUT_RATES],
        "weight_decay": [*(0.0 for _ in _WEIGHT_DECAYS), *_WEIGHT_DECAYS],
    }
    return space if is_paper else space | {"numeric_embedding": ["piecewise"], "embedding_bins": [8, 32, 128]}
