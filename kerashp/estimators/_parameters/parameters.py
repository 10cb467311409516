"""The parameters of an estimator around any model: its own, its model function's, and routed ones."""

import warnings
from collections.abc import Iterable
from inspect import signature
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import keras
from sklearn.base import clone

from kerashp._compat.scikeras import BaseWrapper, routing_prefixes
from kerashp._compat.sklearn import Interval, InvalidParameterError, Options, StrOptions
from kerashp.estimators._data.models import copying
from kerashp.estimators._parameters.constraints import CALL_CONSTRAINTS, TRAINING_CONSTRAINTS
from kerashp.estimators._parameters.packing import custom_classes
from kerashp.estimators._parameters.signatures import (
    called,
    defaults_of,
    init_defaults,
    names_of,
    same,
    takes_any,
    way_from_keras_tuner,
)
from kerashp.models import build_model

_ROWS = [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None]

PREDICT_NAMES = [name for name in signature(keras.Model.predict).parameters if name not in ("self", "x")]

# What a routed name may say to Keras' methods.
_TAKEN = {
    "fit": set(CALL_CONSTRAINTS),  # not validation_data, which would go to Keras with its labels as they are
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
    "batch_size": _ROWS,
    "validation_batch_size": _ROWS,
    "validation_split": [Interval(Real, 0, 1, closed="left")],
    "run_eagerly": ["boolean"],
    "class_weight": [dict, list, StrOptions({"balanced"}), None],
}
ROUTED_CONSTRAINTS = {f"fit__{name}": allowed for name, allowed in CALL_CONSTRAINTS.items()} | {
    "fit__batch_size": _ROWS,
    "fit__validation_batch_size": _ROWS,
}


class ParameterNamespace(BaseWrapper):
    """Parameters of the estimator, of the model function, and routed ones, in one namespace.

    A name's value is the one that was set (kept in `_params`), else the model function's default, else the
    estimator's. Public names without a trailing underscore are parameters, as in scikeras.
    """

    _defaults: ClassVar[dict[str, Any]] = {**COMPILE_DEFAULTS, **_TRAINING_DEFAULTS}
    _routes: ClassVar[frozenset[str]] = routing_prefixes() | {"callbacks"}

    def __init__(self, model: Any = build_model, **params: Any) -> None:
        model = self._renamed(model, params)
        self.model = None if model is build_model and self._builds_itself() else model
        self._params = params
        self._check_names(self.model, params, TypeError)

    def __getattr__(self, name: str) -> Any:
        own = getattr(type(self), name, None)
        if isinstance(own, property):  # it was its own AttributeError that led here
            return own.__get__(self)
        if "_params" in vars(self) and not name.startswith("_"):
            return self._value_of(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        learned = name.endswith("_") and name not in names_of(self._function)
        if name == "model" or name.startswith("_") or learned:
            object.__setattr__(self, name, value)
        else:
            self._params[name] = value

    def _value_of(self, name: str) -> Any:
        for source in (self._params, defaults_of(self._function), self._defaults):
            if name in source:
                return source[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters and their values.

        Parameters
        ----------
        deep : bool, default=True
            Makes no difference: no parameter holds parameters of its own.

        Returns
        -------
        dict
            `model`, the estimator's own parameters, the model function's with its defaults, and routed ones.
        """
        return {
            name: self.model if name == "model" else self._value_of(name) for name in self._get_param_names()
        }

    def _get_param_names(self) -> list[str]:
        return sorted({"model", *self._defaults, *defaults_of(self._function), *self._params})

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the estimator, of its model function, or routed ones (`optimizer__...`).

        Parameters
        ----------
        **params
            A new `model` forgets those values that are its predecessor's defaults.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a name belongs neither to the estimator nor to its model function.
        """
        unchanged = not {"model", "build_fn"} & set(params)
        model = self.model if unchanged else self._renamed(params.pop("model", None), params)
        kept = self._params
        if model is not self.model:
            old = defaults_of(self._function)
            kept = {name: v for name, v in kept.items() if name not in old or not same(v, old[name])}
        self._check_names(model, {**kept, **params}, ValueError)
        self.model, self._params = model, {**kept, **params}
        return self

    def __sklearn_clone__(self) -> Self:
        with copying(self.model, custom_classes(self._params)):
            if takes_any(type(self).__init__):
                return super().__sklearn_clone__()
            # A subclass whose __init__ takes a few parameters: the others are set afterwards.
            params = {name: clone(value, safe=False) for name, value in self.get_params(deep=False).items()}
            named = params.keys() & set(signature(type(self)).parameters)
            new = type(self)(**{name: params.pop(name) for name in named})
            return new.set_params(**params)

    def __repr__(self) -> str:
        defaults = {**self._defaults, **defaults_of(self._function)}
        changed = {
            name: value
            for name, value in self._params.items()
            if name not in defaults or not same(value, defaults[name])
        }
        model = [called(self.model)] if self._function is self.model else []
        shown = [*model, *(f"{name}={value!r}" for name, value in changed.items())]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _own_defaults(self) -> dict[str, Any]:
        """What the `__init__` of a subclass takes by name, and the defaults."""
        return init_defaults(tuple(type(self).__mro__), ParameterNamespace)

    def _builds_itself(self) -> bool:
        """Whether the class has scikeras' `_keras_build_fn`."""
        return hasattr(type(self), "_keras_build_fn")

    @property
    def _function(self) -> Any:
        """What makes the model: `model`, or where that is None the `_keras_build_fn` of a subclass."""
        return self._function_of(self.model)

    def _function_of(self, model: Any) -> Any:
        return self._keras_build_fn if model is None and self._builds_itself() else model

    def _renamed(self, model: Any, params: dict[str, Any]) -> Any:
        """The model, which scikeras once called `build_fn`."""
        if "build_fn" not in params or "build_fn" in names_of(model):
            return model
        function = params.pop("build_fn")
        if function is None:
            return model
        if model is not None and model is not build_model:
            raise TypeError(
                f"{type(self).__name__} got both model={called(model)} and build_fn={called(function)}, the "
                "old name of the same parameter; pass model= alone"
            )
        name = type(self).__name__
        warnings.warn(
            f"{name}(build_fn=...) is an old name; pass {name}(model={called(function)}) instead",
            DeprecationWarning,
            stacklevel=3,
        )
        return function

    def _check_names(self, model: Any, names: Iterable[str], error: type[Exception]) -> None:
        function = self._function_of(model)
        if takes_any(function):
            return
        accepted = names_of(function)
        own = list(dict.fromkeys([*self._defaults, *self._own_defaults()]))
        for name in names:
            prefix, _, inner = name.partition("__")
            taken = {**_TAKEN, "model": accepted}.get(prefix)
            known = taken is None or inner.partition("__")[0] in taken
            routed = prefix in self._routes and bool(inner) and known
            if not routed and name not in accepted and name not in own:
                way = way_from_keras_tuner(model)
                if way is not None:
                    raise error(f"Invalid parameter {name!r} for estimator {type(self).__name__}: {way}")
                takes = f"takes {', '.join(accepted)}" if accepted else "takes no parameters"
                raise error(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}: its model "
                    f"{called(function)} {takes}; the estimator's own are {', '.join(own)}; "
                    f"routed ones begin with {'__, '.join(sorted(self._routes))}__"
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
        return {**allowed, "model": [callable, None]} if self._builds_itself() else allowed
