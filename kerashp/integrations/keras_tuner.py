"""kerashp inside keras-tuner's tuners.

To have an oracle of keras-tuner inside a search of scikit-learn instead, see
`kerashp.model_selection.OracleSearchCV`.
"""

import inspect
from typing import Any

import keras

from kerashp._arguments import spelled
from kerashp._compat.keras_tuner import keras_tuner
from kerashp.estimators import KerasMLPClassifier, KerasMLPRegressor
from kerashp.integrations._build_function import BuildFunction, from_build
from kerashp.models import build_model
from kerashp.spaces import params_from_hyperparameters, to_hyperparameters
from kerashp.spaces._hyperparameters import parameter_names
from kerashp.training import fit

__all__ = ["BuildFunction", "MLPHyperModel", "from_build"]

_OF_MODEL = frozenset(inspect.signature(build_model).parameters)
_OF_TRAINING = frozenset({"batch_size", "epochs"})


class MLPHyperModel(keras_tuner.HyperModel):
    """`kerashp.build_model` over a space, trained by `kerashp.fit`, for any of keras-tuner's tuners.

    A tuner's own callbacks are kept, and training stays compiled, an epoch a call: the tuner looks at every
    epoch, and saves the weights after those that are better than all before. A tuner that overrides
    `on_batch_begin` or `on_batch_end` has `Model.fit` train, with a `FallbackWarning`. Targets may be NumPy's
    or pandas'.

    Parameters
    ----------
    space : dict, list of dict or keras_tuner.HyperParameters
        What to search, as `kerashp.spaces.to_hyperparameters` takes it, by argument of `build_model`;
        `batch_size` and `epochs` besides. Of `as_estimator`, the estimator's parameters.
    as_estimator : bool, default=False
        False: `build` returns a Keras model, for RandomSearch, BayesianOptimization, Hyperband, GridSearch
        and subclasses of `Tuner`. True: a `KerasMLPRegressor` or, of tasks other than "regression", a
        `KerasMLPClassifier`, for SklearnTuner.
    name, tunable : str and bool
        keras-tuner's own.
    **fixed
        Other arguments of `build_model`: `input_shape`, `n_outputs` and `task` as a rule. `metrics` is
        `["accuracy"]` if not given and `task` is not "regression", so that a tuner's objective can be
        "val_accuracy". Of `as_estimator`, `task` and the estimator's parameters.

    Raises
    ------
    ValueError
        If a name belongs to none of them, or is both in `space` and among `fixed`; from `fit`, as
        keras-tuner's FatalValueError, if `epochs` or `batch_size` are in `space` and given by the tuner too.
    TypeError, ValueError
        If the space cannot be translated.

    Notes
    -----
    SklearnTuner itself splits NumPy arrays and data frames only. A pandas Series makes all its trials fail,
    which it reports when three in a row have, or never: give it `y.to_frame()` or `y.to_numpy()`. The other
    tuners, and `OracleSearchCV`, take a Series.

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
        more = frozenset() if as_estimator else _OF_TRAINING
        _check_names(self._searched, fixed, self._known(), more)

    def _known(self) -> frozenset[str]:
        if not self.as_estimator:
            return _OF_MODEL
        return frozenset({"task", *self._estimator()().get_params()})

    def _estimator(self) -> Any:
        return (
            KerasMLPRegressor if self.fixed.get("task", "regression") == "regression" else KerasMLPClassifier
        )

    def build(self, hp: Any) -> Any:
        """A model, or an estimator, with the values that `hp` has; it gets the space if it has none.

        Parameters
        ----------
        hp : keras_tuner.HyperParameters

        Returns
        -------
        keras.Model, KerasMLPRegressor or KerasMLPClassifier
        """
        hp.merge(self._hyperparameters, overwrite=False)
        params = {**self.fixed, **self._params(hp)}
        if not self.as_estimator:
            if params.get("task", "regression") != "regression":
                params.setdefault("metrics", ["accuracy"])
            model = build_model(**{name: params[name] for name in params if name not in _OF_TRAINING})
            model.optimizer.build(model.trainable_variables)  # its state is in what the tuner saves and loads
            return model
        return self._estimator()(**{name: params[name] for name in params if name != "task"})

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Train a model by `kerashp.fit`; keras-tuner calls it.

        Parameters
        ----------
        hp : keras_tuner.HyperParameters
        model : keras.Model
        *args, **kwargs
            Of `kerashp.fit`.

        Returns
        -------
        keras.callbacks.History
        """
        params = self._params(hp)
        own = {name: params[name] for name in params if name in _OF_TRAINING}
        twice = sorted(set(own) & set(kwargs))
        if twice:
            raise keras_tuner.errors.FatalValueError(
                f"MLPHyperModel: {spelled(twice)} is in space, and the tuner gives it too (Hyperband decides "
                "the epochs itself); leave it out of space, or of search()"
            )
        callbacks = [_by_epochs(callback) for callback in kwargs.pop("callbacks", None) or []]
        arguments = {**kwargs, **own, "callbacks": callbacks}
        return fit(model, *args, **arguments)

    def _params(self, hp: Any) -> dict[str, Any]:
        """Those of its own; a tuner may have others, too."""
        params = params_from_hyperparameters(hp, self.space)
        return {name: params[name] for name in params if name in self._searched}


def _check_names(
    searched: set[str], fixed: dict[str, Any], known: frozenset[str], more: frozenset[str]
) -> None:
    unknown = sorted((searched - known - more) | (set(fixed) - known))
    if unknown:
        raise ValueError(
            f"MLPHyperModel: no argument is called {spelled(unknown)}; there are {spelled(sorted(known))}"
            + (f", and in space also {spelled(sorted(more))}" if more else "")
        )
    twice = sorted(searched & set(fixed))
    if twice:
        raise ValueError(f"MLPHyperModel: {spelled(twice)} is in space and fixed; leave it out of one")


class _Epochs(keras.callbacks.Callback):
    """The hooks of another callback that have to do with epochs."""

    def __init__(self, callback: Any):
        super().__init__()
        self._callback = callback

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._callback.set_model(model)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._callback.on_epoch_end(epoch, logs)


def _by_epochs(callback: Any) -> Any:
    """The callback; without its hooks of batches where it is a tuner's and does nothing in them."""
    if type(callback).__name__ != "TunerCallback":
        return callback
    own = ("on_batch_begin", "on_batch_end")
    idle = all(getattr(type(callback.tuner), name) is getattr(keras_tuner.Tuner, name) for name in own)
    return _Epochs(callback) if idle else callback
