"""keras-tuner's `build(hp)` functions as model functions of estimators."""

import inspect
import keyword
import re
from collections.abc import Callable, Iterator
from typing import Any, Self

import keras

from kerashp._arguments import quoted
from kerashp._compat.tuners.keras_tuner import keras_tuner
from kerashp._compat.tuners.keras_tuner_oracles import has_hyperparameter
from kerashp.spaces import from_hyperparameters
from kerashp.training import isolated

_MOST_BUILDS = 200  # models built to find the hyperparameters
_FEW = 8  # so many integers are tried one by one


class BuildFunction:
    """A model function whose arguments are the hyperparameters of a `build(hp)` function; see `from_build`.

    Parameters
    ----------
    build : callable
        Takes a `keras_tuner.HyperParameters` and returns a Keras model.
    hyperparameters : keras_tuner.HyperParameters
        All hyperparameters that the function uses under any values, which `from_build` finds.

    Attributes
    ----------
    hyperparameters : keras_tuner.HyperParameters
        All hyperparameters that the function uses under any values.
    space : dict or list of dict
        The space to search, for the searches of kerashp and scikit-learn.

    Examples
    --------
    >>> from kerashp import build_model
    >>> from kerashp.integrations.keras_tuner import from_build
    >>> model = from_build(lambda hp: build_model(1, hp.Int("n_neurons", 4, 8)))
    >>> list(model.space)
    ['n_neurons']
    >>> model(n_neurons=6).layers[0].units
    6
    """

    def __init__(self, build: Callable[[Any], keras.Model], hyperparameters: Any):
        self._build = build
        self.hyperparameters = hyperparameters
        self._names = _argument_names(hyperparameters)
        self.__name__ = getattr(build, "__name__", type(build).__name__)
        self.__signature__ = inspect.Signature(  # an estimator's parameters
            [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=self._default(original))
                for name, original in self._names.items()
            ]
        )

    def __call__(self, **params: Any) -> keras.Model:
        """The model that the function builds with these values, and with defaults of the others.

        Raises
        ------
        TypeError
            If there is no such hyperparameter.
        ValueError
            If the function uses a hyperparameter that `from_build` did not find.
        """
        unknown = sorted(set(params) - set(self._names))
        if unknown:
            raise TypeError(
                f"{self.__name__} has no hyperparameter {unknown[0]!r}; {self._described_names()}"
            )
        hp = keras_tuner.HyperParameters()
        hp.values = {parameter.name: parameter.default for parameter in reversed(self.hyperparameters.space)}
        hp.values |= {self._names[name]: value for name, value in params.items()}
        model = self._build(hp)
        missed = sorted({parameter.name for parameter in hp.space} - set(self._names.values()))
        if missed:
            raise ValueError(
                f"{self.__name__} uses {quoted(missed)} with {params}, which from_build did not find. Use "
                "it under every value, or in a conditional_scope"
            )
        return model

    @property
    def space(self) -> Any:
        arguments = {original: name for name, original in self._names.items()}
        translated = from_hyperparameters(self.hyperparameters)
        spaces = translated if isinstance(translated, list) else [translated]
        renamed = [{arguments[name]: values for name, values in space.items()} for space in spaces]
        return renamed if isinstance(translated, list) else renamed[0]

    def __copy__(self) -> Self:
        return self  # as functions do

    def __deepcopy__(self, _: Any) -> Self:
        return self

    def __repr__(self) -> str:
        return f"from_build({self.__name__})"

    def _default(self, name: str) -> Any:
        return next(parameter.default for parameter in self.hyperparameters.space if parameter.name == name)

    def _described_names(self) -> str:
        return f"there are {quoted(self._names)}" if self._names else "there are none"


def from_build(build: Any) -> BuildFunction:
    """keras-tuner's `build(hp)` function as a model function of `KerasClassifier` or `KerasRegressor`.

    Its hyperparameters become the estimator's parameters, with their defaults, and a space to search. To find
    all of them, the function is called several times: with the defaults, and with other values of each
    hyperparameter, since it may use some hyperparameters under some values only.

    Parameters
    ----------
    build : callable or keras_tuner.HyperModel
        Takes a `keras_tuner.HyperParameters` and returns a Keras model. A hypermodel must not override `fit`,
        since the estimator trains.

    Returns
    -------
    callable
        It takes each hyperparameter by its name, with "_" for characters that Python's names cannot have. It
        has the attributes `hyperparameters` and `space`. The latter is for searches: ranges become
        distributions, and conditional scopes several dicts, as in `kerashp.spaces.from_hyperparameters`.

    Raises
    ------
    TypeError
        If `build` is neither of them, or a hypermodel that overrides `fit`.
    ValueError
        If a name cannot be that of a parameter, or two names would be the same; or if the function uses too
        many values to try them.

    References
    ----------
    keras-tuner's documentation, "Getting started with KerasTuner".

    Examples
    --------
    >>> import keras
    >>> from sklearn.datasets import load_iris
    >>> from kerashp import KerasClassifier
    >>> from kerashp.integrations.keras_tuner import from_build
    >>> from kerashp.model_selection import RandomizedSearchCV
    >>> def build(hp):
    ...     hidden = keras.layers.Dense(hp.Int("units", 8, 32), "relu")
    ...     model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(3, "softmax")])
    ...     adam = keras.optimizers.Adam(hp.Float("learning rate", 1e-3, 1e-1, sampling="log"))
    ...     model.compile(adam, "sparse_categorical_crossentropy")
    ...     return model
    >>> model = from_build(build)
    >>> X, y = load_iris(return_X_y=True)
    >>> search = RandomizedSearchCV(KerasClassifier(model, epochs=20), model.space, n_iter=4, random_state=0)
    >>> sorted(search.fit(X, y).best_params_)
    ['learning_rate', 'units']
    >>> KerasClassifier(model, units=16).get_params()["learning_rate"]
    0.001
    """
    function = build
    if isinstance(build, keras_tuner.HyperModel):
        if type(build).fit is not keras_tuner.HyperModel.fit:
            name = type(build).__name__
            raise TypeError(
                f"from_build: {name} overrides fit, which an estimator does not call. Pass {name}(...).build "
                "instead, and set batch_size, epochs and callbacks of the estimator"
            )
        function = build.build
    if not callable(function) or isinstance(build, keras.Model):
        raise TypeError(
            "from_build: build must be a function that takes keras-tuner's hp and returns a Keras model, or "
            f"a keras_tuner.HyperModel; got {build!r}"
        )
    return BuildFunction(function, _hyperparameters_of(function))


def _hyperparameters_of(build: Callable[[Any], Any]) -> Any:
    """All hyperparameters that a function uses under any values."""
    hyperparameters = keras_tuner.HyperParameters()
    trials: list[dict[str, Any]] = [{}]
    for values in trials:  # the list grows meanwhile
        if len(trials) > _MOST_BUILDS:
            raise ValueError(
                f"from_build: {build!r} has so many hyperparameters that finding them takes more than "
                f"{_MOST_BUILDS} models. Reduce the values of its Choices, or translate the space by hand"
            )
        hp = keras_tuner.HyperParameters()
        hp.values = dict(values)
        with isolated(seed=0):
            build(hp)
        new = [parameter for parameter in hp.space if not has_hyperparameter(hyperparameters, parameter)]
        hyperparameters.merge(new, overwrite=False)
        trials += [
            {**hp.values, parameter.name: value} for parameter in new for value in _other_values(parameter)
        ]
    return hyperparameters


def _other_values(parameter: Any) -> Iterator[Any]:
    """Values besides the default under which a function may use more hyperparameters."""
    kind = type(parameter).__name__
    if kind in ("Fixed", "Boolean"):
        return iter([] if kind == "Fixed" else [not parameter.default])
    values = list(parameter.values) if kind == "Choice" else _range_values(parameter)
    return (value for value in dict.fromkeys(values) if value != parameter.default)


def _range_values(parameter: Any) -> list[Any]:
    """All values of a small range of integers, or the ends of a range."""
    least, greatest = parameter.min_value, parameter.max_value
    is_small = parameter.step == 1 and parameter.sampling == "linear" and greatest - least < _FEW
    if type(parameter).__name__ == "Int" and is_small:
        return list(range(least, greatest + 1))
    return [least, greatest]


def _argument_names(hyperparameters: Any) -> dict[str, str]:
    """The names of hyperparameters by the names of arguments."""
    names: dict[str, str] = {}
    for original in dict.fromkeys(parameter.name for parameter in hyperparameters.space):
        name = re.sub(r"\W", "_", original)
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_") or "__" in name:
            raise ValueError(
                f"from_build: {original!r} cannot be the name of a parameter; rename the hyperparameter"
            )
        if name in names:
            raise ValueError(
                f"from_build: {original!r} and {names[name]!r} would both be the parameter {name!r}; rename "
                "one of them"
            )
        names[name] = original
    return names
