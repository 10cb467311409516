"""kerashp in keras-tuner's tuners.

For an oracle of keras-tuner in a search of scikit-learn, see `kerashp.model_selection.OracleSearchCV`.
"""

import inspect
from typing import Any

from kerashp._arguments import quoted
from kerashp._compat.tuners.keras_tuner import keras_tuner
from kerashp.estimators import KerasMLPClassifier, KerasMLPRegressor
from kerashp.integrations._build_function import BuildFunction, from_build
from kerashp.models import build_model
from kerashp.spaces import params_from_hyperparameters, to_hyperparameters
from kerashp.spaces._from_hyperparameters import parameter_names
from kerashp.training import fit

__all__ = ["BuildFunction", "MLPHyperModel", "from_build"]

_MODEL_ARGUMENTS = frozenset(inspect.signature(build_model).parameters)
_TRAINING_ARGUMENTS = frozenset({"batch_size", "epochs"})


class MLPHyperModel(keras_tuner.HyperModel):
    """`kerashp.build_model` over a space, trained by `kerashp.fit`, for any of keras-tuner's tuners.

    The callbacks of a tuner are kept, and training stays compiled, one epoch a call: the tuner sees every
    epoch, and saves the weights after the best ones. With a tuner that overrides `on_batch_begin` or
    `on_batch_end`, `Model.fit` trains, with a `FallbackWarning`. Targets may be NumPy arrays or of pandas.

    Parameters
    ----------
    space : dict, list of dict or keras_tuner.HyperParameters
        What to search, as `kerashp.spaces.to_hyperparameters` takes it, by argument of `build_model`, and
        `batch_size` and `epochs`. With `as_estimator`, by parameter of the estimator.
    as_estimator : bool, default=False
        False: `build` returns a Keras model, for RandomSearch, BayesianOptimization, Hyperband, GridSearch
        and subclasses of `Tuner`. True: it returns a `KerasMLPRegressor` or, for tasks other than
        "regression", a `KerasMLPClassifier`, for SklearnTuner.
    name, tunable : str and bool
        As in keras-tuner.
    **fixed
        Other arguments of `build_model`, usually `input_shape`, `n_outputs` and `task`. `metrics` is
        `["accuracy"]` by default if `task` is not "regression", so that a tuner's objective can be
        "val_accuracy". With `as_estimator`, `task` and the estimator's parameters.

    Raises
    ------
    ValueError
        If a name is no argument or parameter, or is in both `space` and `fixed`; from `fit`, as keras-tuner's
        FatalValueError, if `epochs` or `batch_size` are in `space` and the tuner passes them, too.
    TypeError, ValueError
        If the space cannot be translated.

    Notes
    -----
    SklearnTuner itself splits NumPy arrays and data frames only. With a pandas Series all its trials fail,
    which it reports after three in a row, or never: pass `y.to_frame()` or `y.to_numpy()`. The other tuners,
    and `OracleSearchCV`, take a Series.

    References
    ----------
    keras-tuner's documentation, "HyperModel".

    Examples
    --------
    >>> import tempfile
    >>> import keras_tuner, numpy as np
    >>> from kerashp.integrations.keras_tuner import MLPHyperModel
    >>> from kerashp.spaces import loguniform
    >>> X = np.random.default_rng(0).normal(size=(100, 8))
    >>> hypermodel = MLPHyperModel({"learning_rate": loguniform(1e-3, 1e-1)}, input_shape=(8,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tuner = keras_tuner.RandomSearch(
    ...         hypermodel, objective="val_loss", max_trials=2, seed=1, directory=folder
    ...     )
    ...     tuner.search(X, X[:, 0], epochs=3, validation_split=0.2, verbose=0)
    >>> 1e-3 <= tuner.get_best_hyperparameters()[0].values["learning_rate"] <= 1e-1
    True
    """

    def __init__(
        self,
        space: Any,
        *,
        as_estimator: bool = False,
        name: str | None = None,
        tunable: bool = True,
        **fixed: Any,
    ):
        super().__init__(name, tunable)
        self.space = space
        self.as_estimator = as_estimator
        self.fixed = fixed
        self._hyperparameters = to_hyperparameters(space)
        self._searched = parameter_names(self._hyperparameters)
        only_searched = frozenset() if as_estimator else _TRAINING_ARGUMENTS
        _check_names(self._searched, fixed, self._valid_names(), only_searched)

    def _valid_names(self) -> frozenset[str]:
        if not self.as_estimator:
            return _MODEL_ARGUMENTS
        return frozenset({"task", *self._estimator_class()().get_params()})

    def _estimator_class(self) -> Any:
        return (
            KerasMLPRegressor if self.fixed.get("task", "regression") == "regression" else KerasMLPClassifier
        )

    def build(self, hp: Any) -> Any:
        """A model, or an estimator, with the values of `hp`, to which the space is added if it is missing.

        Parameters
        ----------
        hp : keras_tuner.HyperParameters
            The values, by name.

        Returns
        -------
        keras.Model, KerasMLPRegressor or KerasMLPClassifier
            A compiled model; with `as_estimator`, an estimator that is not fitted.
        """
        hp.merge(self._hyperparameters, overwrite=False)
        params = {**self.fixed, **self._params(hp)}
        if not self.as_estimator:
            if params.get("task", "regression") != "regression":
                params.setdefault("metrics", ["accuracy"])
            model = build_model(**{name: params[name] for name in params if name not in _TRAINING_ARGUMENTS})
            model.optimizer.build(model.trainable_variables)  # the tuner saves and loads its state
            return model
        return self._estimator_class()(**{name: params[name] for name in params if name != "task"})

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Train a model by `kerashp.fit`. keras-tuner calls this method.

        Parameters
        ----------
        hp : keras_tuner.HyperParameters
            The values, of which `epochs` and `batch_size` count here.
        model : keras.Model
            The model that `build` returned.
        *args, **kwargs
            Arguments of `kerashp.fit`.

        Returns
        -------
        keras.callbacks.History
            What `kerashp.fit` returns.
        """
        params = self._params(hp)
        searched = {name: params[name] for name in params if name in _TRAINING_ARGUMENTS}
        twice = sorted(set(searched) & set(kwargs))
        if twice:
            raise keras_tuner.errors.FatalValueError(
                f"MLPHyperModel: {quoted(twice)} is in space, but the tuner passes it, too (Hyperband "
                "decides on the epochs itself). Remove it from space, or from the call of search()"
            )
        return fit(model, *args, **(kwargs | searched))

    def _params(self, hp: Any) -> dict[str, Any]:
        """The values of the space; a tuner may have other hyperparameters, too."""
        params = params_from_hyperparameters(hp, self.space)
        return {name: params[name] for name in params if name in self._searched}


def _check_names(
    searched: set[str], fixed: dict[str, Any], valid: frozenset[str], only_searched: frozenset[str]
) -> None:
    unknown = sorted((searched - valid - only_searched) | (set(fixed) - valid))
    if unknown:
        raise ValueError(
            f"MLPHyperModel: there is no argument {quoted(unknown)}; there are {quoted(sorted(valid))}"
            + (f", and in space also {quoted(sorted(only_searched))}" if only_searched else "")
        )
    twice = sorted(searched & set(fixed))
    if twice:
        raise ValueError(
            f"MLPHyperModel: {quoted(twice)} is in space and in fixed; remove it from one of them"
        )
