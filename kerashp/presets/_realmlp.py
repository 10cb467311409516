"""The defaults of RealMLP-TD."""

from typing import Any

from kerashp.spaces._checks import known_task

_COMMON: dict[str, Any] = {
    "n_hidden": 3,
    "n_neurons": 256,
    "kernel_initializer": "lecun_normal",
    "dropout": 0.15,
    "dropout_schedule": "flat_cosine",
    "l2": 0.0,
    "parametrization": "ntk",
    "parametric_activation": True,
    "normalize": True,
    "scaling": "robust",
    "numeric_embedding": "periodic",
    "embedding_sigma": 0.1,
    "input_scale_rate": 6.0,
    "embedding_dim": 8,
    "optimizer": "adam",
    "beta_2": 0.95,
    "weight_decay": 0.02,
    "weight_decay_schedule": "flat_cosine",
    "batch_size": 256,
    "equal_batches": True,
    "epochs": 256,
    "tol": None,
    "schedule": "coslog4",
    "early_stopping": True,
    "validation_fraction": 0.2,
    "patience": None,
    "restore_best_weights": True,
}
_CLASSIFICATION: dict[str, Any] = {"learning_rate": 0.04, "activation": "selu", "label_smoothing": 0.1}
_REGRESSION: dict[str, Any] = {
    "learning_rate": 0.2,
    "activation": "mish",
    "normalize_target": True,
    "clip_predictions": True,
}


def realmlp(task: str) -> dict[str, Any]:
    """The defaults of RealMLP-TD, as near as the parameters of the perceptrons come to them.

    The values are those of pytabkit, the authors' code: `DefaultParams.RealMLP_TD_CLASS` and
    `RealMLP_TD_REG`. In the same order, with pytabkit's names in parentheses:

    - `n_hidden=3`, `n_neurons=256` (`hidden_sizes`);
    - `embedding_dim=8` (`embedding_size`); up to 9 categories are one-hot (`max_one_hot_cat_size`), as the
      estimators do it;
    - `parametrization="ntk"` (`weight_param`), with biases at a tenth of the rate (`bias_lr_factor`);
    - `activation`: "selu" for classes, "mish" for regressions (`act`), and `parametric_activation=True` with
      a tenth of the rate (`use_parametric_act`, `act_lr_factor`);
    - `dropout=0.15` with `dropout_schedule="flat_cosine"` (`p_drop`, `p_drop_sched`);
    - `input_scale_rate=6.0` (`add_front_scale`, `scale_lr_factor`);
    - `kernel_initializer="lecun_normal"` (in place of `weight_init_mode`, see below);
    - `weight_decay=0.02` with `weight_decay_schedule="flat_cosine"` (`wd`, `wd_sched`), and `l2=0.0`;
    - `label_smoothing=0.1` for classes (`use_ls`, `ls_eps`);
    - `numeric_embedding="periodic"`, `embedding_sigma=0.1` (`num_emb_type="pbld"`, `plr_sigma`), with 16
      frequencies, 4 outputs and a tenth of the rate (`plr_hidden_1`, `plr_hidden_2`, `plr_lr_factor`), as
      `kerashp.layers.PeriodicEmbedding` has them;
    - `clip_predictions=True` and `normalize_target=True` for regressions (`clamp_output`,
      `normalize_output`);
    - `learning_rate`: 0.04 for classes, 0.2 for regressions (`lr`);
    - `normalize=True`, `scaling="robust"` (`tfms`);
    - `epochs=256`, `schedule="coslog4"` (`n_epochs`, `lr_sched`), and `tol=None`;
    - `optimizer="adam"`, `beta_2=0.95` (`opt`, `sq_mom`);
    - `batch_size=256` (pytabkit's `batch_size`), with `equal_batches=True`, so that no step is on few rows:
      pytabkit leaves out the last batch of an epoch if it is not full (`drop_last`);
    - `early_stopping=True`, `validation_fraction=0.2`, `patience=None`, `restore_best_weights=True`: all
      epochs are trained, and the weights of the best are kept (pytabkit's `val_fraction` and
      `use_early_stopping=False`).

    Parameters
    ----------
    task : {"regression", "binary", "multiclass", "multilabel"}
        The task. The three kinds of labels have the same parameters; RealMLP itself has no multilabel tasks.

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
    What RealMLP-TD has and the estimators do not:

    - kernels scaled by the outputs of each layer on the training rows (`weight_init_mode="std"`): kernels are
      normal with a variance of 1 / n, which gives standardised inputs the same variance;
    - biases drawn from the training rows (`bias_init_mode="he+5"`): they begin at 0;
    - biases without weight decay (`bias_wd_factor=0`): it acts on all weights, and the scales and embeddings
      do not have their rate's factor in it. It draws parametric activations towards plain ones, in RealMLP
      towards the identity;
    - one-hot columns that are scaled and embedded like numbers: they stay 0 and 1;
    - the epoch of the least error rate, the latest of equal ones: it is that of the least validation loss,
      which is that of smoothed labels for classes.

    See Also
    --------
    kerashp.spaces.realmlp_space : The published search spaces around these values.

    References
    ----------
    D. Holzmüller, L. Grinsztajn and I. Steinwart, *Better by Default: Strong Pre-Tuned MLPs and Boosted Trees
    on Tabular Data*, NeurIPS 2024, arXiv:2407.04491, and its code, pytabkit 1.7.2
    (`pytabkit/models/sklearn/default_params.py`).

    Examples
    --------
    >>> from kerashp.presets import realmlp
    >>> parameters = realmlp("binary")
    >>> parameters["learning_rate"], parameters["activation"], parameters["schedule"]
    (0.04, 'selu', 'coslog4')

    >>> from sklearn.datasets import load_breast_cancer
    >>> from kerashp import KerasMLPClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> few_epochs = {**parameters, "n_neurons": 16, "epochs": 10}
    >>> KerasMLPClassifier(**few_epochs, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """
    known_task("realmlp", task)
    return {**_COMMON, **(_REGRESSION if task == "regression" else _CLASSIFICATION)}
