"""The parameters of an estimator around any model: its own, those of its model function, and routed ones."""

import warnings
from collections.abc import Iterable
from inspect import signature
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import keras
from sklearn.base import clone

from kerashp._compat.scikeras import BaseWrapper, routing_prefixes
from kerashp._compat.sklearn import Interval, InvalidParameterError, Options, StrOptions
from kerashp.estimators._data.models import deepcopy_scope
from kerashp.estimators._parameters.constraints import CALL_CONSTRAINTS, TRAINING_CONSTRAINTS
from kerashp.estimators._parameters.packing import custom_classes
from kerashp.estimators._parameters.signatures import (
    defaults_of,
    display_name,
    init_defaults,
    is_same_value,
    keras_tuner_remedy,
    names_of,
    takes_any,
)
from kerashp.models import build_model

_BATCH_SIZE = [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None]

PREDICT_NAMES = [name for name in signature(keras.Model.predict).parameters if name not in ("self", "x")]

# The arguments of Keras' methods to which a routed name may refer.
_ROUTED_ARGUMENTS = {
    "fit": set(CALL_CONSTRAINTS),  # not validation_data, whose labels would not be encoded
    "predict": set(PREDICT_NAMES),
    "compile": set(signature(keras.Model.compile).parameters) - {"self"},
}

COMPILE_DEFAULTS: dict[str, Any] = {
    "optimizer": "rmsprop",
    "loss": None,
    "metrics": None,
    "loss_weights": None,
    "weighted_metrics": None,
    "run_eagerly": False,
}
_TRAINING_DEFAULTS: dict[str, Any] = {
    "batch_size": None,
    "epochs": 1,
    "schedule": "constant",
    "warmup_epochs": 0.0,
    "early_stopping": False,
    "validation_fraction": 0.1,
    "patience": 10,
    "min_delta": 0.0,
    "restore_best_weights": True,
    "validation_split": 0.0,
    "validation_batch_size": None,
    "callbacks": None,
    "shuffle": True,
    "warm_start": False,
    "warm_start_from": None,
    "random_state": None,
    "verbose": 0,
}
_CONSTRAINTS: dict[str, Any] = {
    **TRAINING_CONSTRAINTS,
    "model": [callable],
    "batch_size": _BATCH_SIZE,
    "validation_batch_size": _BATCH_SIZE,
    "validation_split": [Interval(Real, 0, 1, closed="left")],
    "run_eagerly": ["boolean"],
    "class_weight": [dict, list, StrOptions({"balanced"}), None],
}
ROUTED_CONSTRAINTS = {f"fit__{name}": allowed for name, allowed in CALL_CONSTRAINTS.items()} | {
    "fit__batch_size": _BATCH_SIZE,
    "fit__validation_batch_size": _BATCH_SIZE,
}


class ParameterNamespace(BaseWrapper):
    """Parameters of the estimator, of the model function, and routed ones, in one namespace.

    The value of a parameter is the one that was set (in `_params`), otherwise the default of the model
    function, otherwise the default of the estimator. Public attributes without a trailing underscore are
    parameters, as in scikeras.
    """

    _defaults: ClassVar[dict[str, Any]] = {**COMPILE_DEFAULTS, **_TRAINING_DEFAULTS}
    _routes: ClassVar[frozenset[str]] = routing_prefixes() | {"callbacks"}

    def __init__(self, model: Any = build_model, **params: Any) -> None:
        model = self._pop_build_fn(model, params)
        self.model = None if model is build_model and self._has_build_method() else model
        self._params = params
        self._check_names(self.model, params, TypeError)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(type(self), name, None)
        if isinstance(attribute, property):  # which raised an AttributeError: raise it again
            return attribute.__get__(self)
        if "_params" in vars(self) and not name.startswith("_"):
            return self._value_of(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        is_learned = name.endswith("_") and name not in names_of(self._function)
        if name == "model" or name.startswith("_") or is_learned:
            object.__setattr__(self, name, value)
        else:
            self._params[name] = value

    def _value_of(self, name: str) -> Any:
        values = self._values()
        if name in values:
            return values[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _values(self) -> dict[str, Any]:
        """The values of all parameters but `model`."""
        return {**self._defaults, **defaults_of(self._function), **self._params}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters and their values.

        Parameters
        ----------
        deep : bool, default=True
            Has no effect, since no parameter has parameters itself.

        Returns
        -------
        dict
            `model`, the parameters of the estimator and of the model function, and routed parameters.
        """
        values = {**self._values(), "model": self.model}
        return {name: values[name] for name in self._get_param_names()}

    def _get_param_names(self) -> list[str]:
        return sorted({"model", *self._defaults, *defaults_of(self._function), *self._params})

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the estimator or its model function, or routed parameters (`optimizer__...`).

        Parameters
        ----------
        **params
            The parameters. A new `model` resets those that equal a default of the previous model function.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a name belongs neither to the estimator nor to its model function.
        """
        unchanged = not {"model", "build_fn"} & set(params)
        model = self.model if unchanged else self._pop_build_fn(params.pop("model", None), params)
        values = self._params
        if model is not self.model:
            old = defaults_of(self._function)
            values = {
                name: value
                for name, value in values.items()
                if name not in old or not is_same_value(value, old[name])
            }
        values = {**values, **params}
        self._check_names(model, values, ValueError)
        self.model, self._params = model, values
        return self

    def __sklearn_clone__(self) -> Self:
        with deepcopy_scope(self.model, custom_classes(self._params)):
            if takes_any(type(self).__init__):
                return super().__sklearn_clone__()
            # The __init__ of a subclass may take only some parameters; the others are set afterwards.
            params = {name: clone(value, safe=False) for name, value in self.get_params(deep=False).items()}
            names = params.keys() & set(signature(type(self)).parameters)
            new = type(self)(**{name: params.pop(name) for name in names})
            return new.set_params(**params)

    def __repr__(self) -> str:
        defaults = {**self._defaults, **defaults_of(self._function)}
        changed = {
            name: value
            for name, value in self._params.items()
            if name not in defaults or not is_same_value(value, defaults[name])
        }
        model = [display_name(self.model)] if self._function is self.model else []
        arguments = [*model, *(f"{name}={value!r}" for name, value in changed.items())]
        return f"{type(self).__name__}({', '.join(arguments)})"

    def _init_defaults(self) -> dict[str, Any]:
        """The arguments of the `__init__` of a subclass, and their defaults."""
        return init_defaults(tuple(type(self).__mro__), ParameterNamespace)

    def _has_build_method(self) -> bool:
        """Whether the class has scikeras' `_keras_build_fn`."""
        return hasattr(type(self), "_keras_build_fn")

    @property
    def _function(self) -> Any:
        """The model function: `model`, or if that is None, the `_keras_build_fn` of a subclass."""
        return self._function_of(self.model)

    def _function_of(self, model: Any) -> Any:
        return self._keras_build_fn if model is None and self._has_build_method() else model

    def _pop_build_fn(self, model: Any, params: dict[str, Any]) -> Any:
        """The model, which may be passed as `build_fn`, scikeras' old name."""
        if "build_fn" not in params or "build_fn" in names_of(model):
            return model
        function = params.pop("build_fn")
        if function is None:
            return model
        if model is not None and model is not build_model:
            raise TypeError(
                f"{type(self).__name__} got both model={display_name(model)} and "
                f"build_fn={display_name(function)}, the old name of the same parameter; pass model= alone"
            )
        name = type(self).__name__
        warnings.warn(
            f"{name}(build_fn=...) is an old name; pass {name}(model={display_name(function)}) instead",
            DeprecationWarning,
            stacklevel=3,
        )
        return function

    def _check_names(self, model: Any, names: Iterable[str], error: type[Exception]) -> None:
        function = self._function_of(model)
        if takes_any(function):
            return
        model_names = names_of(function)
        estimator_names = list(dict.fromkeys([*self._defaults, *self._init_defaults()]))
        for name in names:
            prefix, _, inner = name.partition("__")
            targets = {**_ROUTED_ARGUMENTS, "model": model_names}.get(prefix)
            has_target = targets is None or inner.partition("__")[0] in targets
            is_routed = prefix in self._routes and bool(inner) and has_target
            if not is_routed and name not in model_names and name not in estimator_names:
                remedy = keras_tuner_remedy(model)
                if remedy is not None:
                    raise error(f"Invalid parameter {name!r} for estimator {type(self).__name__}: {remedy}")
                takes = f"takes {', '.join(model_names)}" if model_names else "takes no parameters"
                raise error(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}: its model "
                    f"{display_name(function)} {takes}; the estimator's own are "
                    f"{', '.join(estimator_names)}; routed ones begin with "
                    f"{'__, '.join(sorted(self._routes))}__"
                )

    def _validate_params(self) -> None:
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            if callable(self._function):
                raise
            raise InvalidParameterError(
                f"{error} ``model`` must be a function that returns a keras.Model, or a keras.Model: set it "
                "with set_params(model=...)"
            ) from error

    @property
    def _parameter_constraints(self) -> dict[str, Any]:
        allowed = {name: _CONSTRAINTS.get(name, "no_validation") for name in self._get_param_names()}
        return {**allowed, "model": [callable, None]} if self._has_build_method() else allowed
