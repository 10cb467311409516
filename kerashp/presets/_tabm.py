"""The defaults of TabM."""

from typing import Any

from kerashp.spaces._checks import known_task

_COMMON: dict[str, Any] = {
    "n_hidden": 3,
    "n_neurons": 512,
    "heads": 32,
    "activation": "relu",
    "kernel_initializer": "lecun_uniform",
    "dropout": 0.1,
    "l2": 0.0,
    "normalize": True,
    "scaling": "robust",
    "optimizer": "adamw",
    "learning_rate": 2e-3,
    "weight_decay": 0.0,
    "batch_size": 256,
    "epochs": 1000,
    "tol": None,
    "early_stopping": True,
    "validation_fraction": 0.2,
    "patience": 16,
    "restore_best_weights": True,
}


def tabm(task: str) -> dict[str, Any]:
    """The defaults of TabM, as near as the parameters of the perceptrons come to them.

    The values are those of pytabkit, `DefaultParams.TABM_D_CLASS` and `TABM_D_REG`, which are of the example
    of the authors' package tabm. In the same order, with pytabkit's names in parentheses:

    - `heads=32` (`tabm_k`), with scales around all hidden layers (`arch_type="tabm"`);
    - `batch_size=256` (pytabkit's `batch_size`); the paper has 32 for up to 2,800 rows, and 64 or 128 for up
      to 6,400;
    - `optimizer="adamw"`, `learning_rate=2e-3` (`lr`), `weight_decay=0.0` and `l2=0.0` (tabm itself has a
      `weight_decay` of 3e-4 today);
    - `early_stopping=True`, `patience=16`, `validation_fraction=0.2`, `restore_best_weights=True`, `tol=None`
      (pytabkit's `patience` and `val_fraction`), and at most 1,000 `epochs`, where pytabkit has no limit;
    - `n_hidden=3`, `n_neurons=512` (`n_blocks`, `d_block`), `activation="relu"`; with `numeric_embedding`,
      `n_hidden` should be 2, as in both packages;
    - `dropout=0.1`;
    - `normalize=True`, `scaling="robust"` (in place of `tfms`, see below).

    Parameters
    ----------
    task : {"regression", "binary", "multiclass", "multilabel"}
        The task. All have the same parameters, but for `normalize_target=True` for "regression"; TabM itself
        has no multilabel tasks.

    Returns
    -------
    dict
        A new dictionary of parameters, for `KerasMLPRegressor` if the task is "regression", else for
        `KerasMLPClassifier`.

    Raises
    ------
    ValueError
        If the task is unknown.

    Notes
    -----
    What TabM has and the estimators do not:

    - inputs that are transformed to a normal distribution by their quantiles, with noise (`tfms`): they are
      scaled by medians and quartiles, and clipped smoothly;
    - kernels and biases drawn uniformly with a variance of 1 / (3 n) (PyTorch's default): kernels have a
      variance of 1 / n, biases begin at 0;
    - another batch for each head (`share_training_batches=False`): all heads get the same rows, as is the
      default of tabm today;
    - one random number for all columns of a category or an embedding in the first scales: each column has its
      own;
    - embeddings of numbers with a learned layer (`num_emb_type="pwl"`, `d_embedding`):
      `numeric_embedding="piecewise"` is the encoding without it;
    - biases without weight decay: it acts on all weights;
    - the epoch of the least error rate: it is that of the least validation loss, for classes.

    See Also
    --------
    kerashp.spaces.tabm_space : The published search spaces around these values.

    References
    ----------
    Y. Gorishniy, A. Kotelnikov and A. Babenko, *TabM: Advancing Tabular Deep Learning with
    Parameter-Efficient Ensembling*, ICLR 2025, arXiv:2410.24210; its code, tabm 0.0.3; and pytabkit 1.7.3
    (`pytabkit/models/sklearn/default_params.py`).

    Examples
    --------
    >>> from kerashp.presets import tabm
    >>> parameters = tabm("binary")
    >>> parameters["heads"], parameters["n_neurons"], parameters["learning_rate"]
    (32, 512, 0.002)

    >>> from sklearn.datasets import load_breast_cancer
    >>> from kerashp import KerasMLPClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> small = {**parameters, "heads": 4, "n_neurons": 16, "epochs": 20, "batch_size": 32}
    >>> KerasMLPClassifier(**small, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """
    known_task("tabm", task)
    return {**_COMMON, **({"normalize_target": True} if task == "regression" else {})}
