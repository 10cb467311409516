"""keras-tuner's `build(hp)` functions as model functions of estimators."""

import inspect
import keyword
import re
from collections.abc import Callable, Iterator
from typing import Any, Self

import keras

from kerashp._arguments import spelled
from kerashp._compat.keras_tuner import keras_tuner
from kerashp.spaces import from_hyperparameters
from kerashp.training import isolated

_MOST_BUILDS = 200  # to find the hyperparameters
_FEW = 8  # integers, each of which is tried


class BuildFunction:
    """A model function whose arguments are the hyperparameters of a `build(hp)` function; see `from_build`.

    Attributes
    ----------
    hyperparameters : keras_tuner.HyperParameters
        All that the function asks for under any values.
    space : dict or list of dict
        What to search, for the searches of kerashp and scikit-learn.
    """

    def __init__(self, build: Callable[[Any], keras.Model], hyperparameters: Any):
        self._build = build
        self.hyperparameters = hyperparameters
        self._names = _arguments(hyperparameters)
        self.__name__ = getattr(build, "__name__", type(build).__name__)

    def __call__(self, **params: Any) -> keras.Model:
        """The model that the function builds with these values, and the defaults of the others.

        Raises
        ------
        TypeError
            If there is no such argument.
        ValueError
            If the function asks for a hyperparameter that is not known.
        """
        unknown = sorted(set(params) - set(self._names))
        if unknown:
            raise TypeError(f"{self.__name__} has no hyperparameter {unknown[0]!r}; {self._takes()}")
        hp = keras_tuner.HyperParameters()
        hp.values = {one.name: one.default for one in reversed(self.hyperparameters.space)}
        hp.values |= {self._names[name]: value for name, value in params.items()}
        model = self._build(hp)
        found = sorted({one.name for one in hp.space} - set(self._names.values()))
        if found:
            raise ValueError(
                f"{self.__name__} asks for {spelled(found)} with {params}, which from_build did not find; "
                "ask for it under every value, or in a conditional_scope"
            )
        return model

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.Signature(
            [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=self._default(own))
                for name, own in self._names.items()
            ]
        )

    @property
    def space(self) -> Any:
        arguments = {own: name for name, own in self._names.items()}
        found = from_hyperparameters(self.hyperparameters)
        spaces = found if isinstance(found, list) else [found]
        renamed = [{arguments[name]: values for name, values in one.items()} for one in spaces]
        return renamed if isinstance(found, list) else renamed[0]

    def __copy__(self) -> Self:
        return self  # as functions do

    def __deepcopy__(self, _: Any) -> Self:
        return self

    def __repr__(self) -> str:
        return f"from_build({self.__name__})"

    def _default(self, name: str) -> Any:
        return next(one.default for one in self.hyperparameters.space if one.name == name)

    def _takes(self) -> str:
        return f"there are {spelled(self._names)}" if self._names else "there are none"


def from_build(build: Any) -> BuildFunction:
    """keras-tuner's `build(hp)` function as a model function of `KerasClassifier` or `KerasRegressor`.

    Its hyperparameters become the estimator's parameters, with their defaults, and a space to search. To find
    them all, the function is called several times: with the defaults, and with other values of each
    hyperparameter, since some may be asked for under some values only.

    Parameters
    ----------
    build : callable or keras_tuner.HyperModel
        Takes a `keras_tuner.HyperParameters` and returns a Keras model. A hypermodel must not override `fit`,
        since the estimator trains.

    Returns
    -------
    callable
        Takes each hyperparameter by its name, in which what is not allowed in Python's names is "_" instead.
        It has the attributes `hyperparameters` and `space`: the latter is for searches; ranges become
        distributions, conditional scopes several dicts, as in `kerashp.spaces.from_hyperparameters`.

    Raises
    ------
    TypeError
        If `build` is neither, or a hypermodel has a `fit` of its own.
    ValueError
        If a name cannot be a parameter's, or two would be the same; if so many values are asked for that they
        cannot be tried.

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
                f"from_build: {name} has a fit of its own, which an estimator does not call. Pass {name}(...)"
                ".build, and give the estimator its batch_size, epochs and callbacks"
            )
        function = build.build
    if not callable(function) or isinstance(build, keras.Model):
        raise TypeError(
            "from_build: build must be a function that takes keras-tuner's hp and returns a Keras model, or "
            f"a keras_tuner.HyperModel; got {build!r}"
        )
    return BuildFunction(function, _explored(function))


def _explored(build: Callable[[Any], Any]) -> Any:
    """All hyperparameters that a function asks for, whatever their values."""
    whole = keras_tuner.HyperParameters()
    waiting: list[dict[str, Any]] = [{}]
    for values in waiting:  # which grows meanwhile
        if len(waiting) > _MOST_BUILDS:
            raise ValueError(
                f"from_build: {build!r} has so many hyperparameters that trying their values takes more than "
                f"{_MOST_BUILDS} models. Give the Choices fewer values, or translate the space by hand"
            )
        hp = keras_tuner.HyperParameters()
        hp.values = dict(values)
        with isolated(seed=0):
            build(hp)
        new = [one for one in hp.space if not whole._exists(one.name, one.conditions)]
        whole.merge(new, overwrite=False)
        waiting += [{**hp.values, one.name: value} for one in new for value in _others(one)]
    return whole


def _others(one: Any) -> Iterator[Any]:
    """Values besides the default under which a function may ask for more."""
    kind = type(one).__name__
    if kind in ("Fixed", "Boolean"):
        return iter([] if kind == "Fixed" else [not one.default])
    listed = list(one.values) if kind == "Choice" else _ends(one)
    return (value for value in dict.fromkeys(listed) if value != one.default)


def _ends(one: Any) -> list[Any]:
    few = one.step == 1 and one.sampling == "linear" and one.max_value - one.min_value < _FEW
    if type(one).__name__ == "Int" and few:
        return list(range(one.min_value, one.max_value + 1))
    return [one.min_value, one.max_value]


def _arguments(hyperparameters: Any) -> dict[str, str]:
    """The hyperparameters' names by those of arguments."""
    names: dict[str, str] = {}
    for own in dict.fromkeys(one.name for one in hyperparameters.space):
        name = re.sub(r"\W", "_", own)
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_") or "__" in name:
            raise ValueError(f"from_build: a parameter cannot be called {own!r}; rename the hyperparameter")
        if name in names:
            raise ValueError(f"from_build: {own!r} and {names[name]!r} would both be the parameter {name!r}")
        names[name] = own
    return names
