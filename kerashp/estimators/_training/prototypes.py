"""Networks that a search need not keep as models: one model serves for all of its graph shape."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import partial
from types import FunctionType

import keras
import numpy as np

from kerashp._compat.keras_optimizers import rate_of
from kerashp.estimators._training.handover import build_once
from kerashp.estimators._training.pending import PendingNetwork
from kerashp.models import NetworkDesign
from kerashp.training import Variant, graph_shape, isolated, units_of
from kerashp.training._keras.layers import is_of_keras
from kerashp.training._members.room import WIDTHS
from kerashp.training._runtime.devices import on_host
from kerashp.training._stacking.description import Description
from kerashp.training._stacking.padding import paddable_layers
from kerashp.training._stacking.prototype import Prototype
from kerashp.training._stacking.step import variables_of

_MOST = 64
_WIDTH = 2  # of a prototype's hidden layers
# Numbers of the optimizer that are arguments of the compiled step.
_LIFTED = ("momentum", "beta_1", "beta_2", "weight_decay")

_PROTOTYPES: OrderedDict[Hashable, Prototype | None] = OrderedDict()
_LOCK = threading.Lock()


def pending_network(design: NetworkDesign, seed: int) -> PendingNetwork | None:
    """The network of a design, with the weights that it would have if it were built now, under this seed.

    None where it has to be built: where more than numbers and widths would tell it from a prototype.
    """
    prototype = _prototype(_key(design), lambda: _new_prototype(design)) if _is_describable(design) else None
    if prototype is None:
        return None
    rate = prototype.learning_rate(design.optimizer_options["learning_rate"])
    numbers = design.inputs.sigma, design.inputs.scale_rate
    key = "initial values", seed, float(rate), design.units, numbers, _key(design)
    with on_host():
        values = build_once(key, lambda: _initial_values(prototype, design, rate))
    variant = Variant(design.units, _numbers(design), values, float(rate))
    return PendingNetwork(prototype.model, partial(_built, design, variant, keras.config.floatx()), variant)


def _initial_values(prototype: Prototype, design: NetworkDesign, rate: np.ndarray) -> list[list[np.ndarray]]:
    # Their seeds are drawn in the order of `NetworkDesign.build`.
    of_heads, of_dense_layers = design.head_initializers(), design.initializers()
    random = {**design.inputs.initializers(design.factory.dtype), **of_heads}
    units, n_inputs = design.units[len(design.inputs.widths) :], design.inputs.width
    return prototype.initial_values(units, of_dense_layers, rate, random, n_inputs)


def _built(design: NetworkDesign, variant: Variant, floatx: str) -> keras.Model:
    with isolated(0, floatx):
        return _with_values(design.build(), variant)


def network_like(model: keras.Model) -> PendingNetwork | None:
    """A network that the model can be made from again, so that it need not be kept; it is not trained.

    None where it has to be kept: where no other model would be exactly like it.
    """
    rate = rate_of(model.optimizer)
    if not isinstance(rate, keras.Variable) or model.optimizer.built:
        return None
    description = Description.of(model)
    prototype = None if description is None else _prototype(description.family, partial(_like, description))
    if description is None or prototype is None:
        return None
    values = prototype.values_of(model)
    variant = Variant(units_of(model), {}, values, float(keras.ops.convert_to_numpy(rate)))
    make = partial(_made, description, variant, keras.config.floatx())
    return PendingNetwork(prototype.model, make, variant)


def _made(description: Description, variant: Variant, floatx: str) -> keras.Model:
    with isolated(0, floatx):
        return _with_values(description.made(), variant)


def _like(description: Description) -> Prototype | None:
    """The prototype of a model's family; None where a model made from its config is of another."""
    with isolated(0), on_host():
        model = description.made()
    made = Description.of(model)
    if made is None or made.family != description.family:
        return None
    prototype = Prototype(model)
    return prototype if prototype.slots_begin_at_zero else None


def _with_values(model: keras.Model, variant: Variant) -> keras.Model:
    for variables, values in zip(variables_of(model), variant.values, strict=False):
        for variable, value in zip(variables, values, strict=False):  # its optimizer may not be built
            variable.assign(value)
    return model


def _is_describable(design: NetworkDesign) -> bool:
    """Whether the key below tells the design from all others of other graph shapes."""
    initializer = design.factory.initializer
    return (
        isinstance(design.optimizer_options.get("learning_rate"), float)
        and isinstance(design.optimizer, str)
        and isinstance(design.factory.activation, FunctionType)
        and not design.metrics
        and (design.inputs.rows is None or not np.any(design.inputs.rows))
        and (
            initializer is None
            or (
                is_of_keras(type(initializer))
                and isinstance(initializer.get_config().get("seed"), int | None)
            )
        )
    )


def _numbers(design: NetworkDesign) -> dict[tuple[str, ...], float]:
    factory = design.factory
    return {
        ("rate",): factory.dropout,
        ("rate_factor",): design.inputs.scale_rate or 0.0,
        ("kernel_regularizer", "l1"): factory.l1,
        ("kernel_regularizer", "l2"): factory.l2,
        ("activity_regularizer", "l1"): factory.activity_l1_of_head,
        ("loss", "label_smoothing"): design.label_smoothing,
        **{("optimizer", name): value for name, value in design.optimizer_options.items() if name in _LIFTED},
    }


def _prototype(key: Hashable, make: Callable[[], Prototype | None]) -> Prototype | None:
    with _LOCK:
        if key not in _PROTOTYPES:
            _PROTOTYPES[key] = make()
        _PROTOTYPES.move_to_end(key)
        while len(_PROTOTYPES) > _MOST:
            _PROTOTYPES.popitem(last=False)
        return _PROTOTYPES[key]


def _key(design: NetworkDesign) -> Hashable:
    """What a network and its prototype have in common."""
    factory = design.factory
    numbers = {path: bool(value) for path, value in _numbers(design).items()}
    others = {name: value for name, value in design.optimizer_options.items() if name not in _LIFTED}
    return (
        design.inputs.kind,
        len(design.widths),
        design.n_outputs,
        design.task,
        design.one_hot,
        design.optimizer,
        tuple(sorted(numbers.items())),
        tuple(sorted((others | {"learning_rate": None}).items(), key=repr)),
        factory.activation,
        type(factory.initializer),
        factory.batch_normalization,
        factory.parametrization,
        factory.parametric_activation,
        factory.heads,
        repr(factory.dtype),
        keras.config.floatx(),
        keras.config.epsilon(),
        keras.config.image_data_format(),
    )


def _new_prototype(design: NetworkDesign) -> Prototype | None:
    widths = [_WIDTH] * len(design.widths)
    with isolated(0), on_host():  # the caller's generators draw the same whether there is a prototype or not
        model = replace(design, widths=widths, width_argument=widths or _WIDTH).build()
    *padded, _ = [layer.name for layer in model.layers if type(layer) in WIDTHS]  # the last are the outputs
    if graph_shape(model) is None or paddable_layers(model) != padded:
        return None
    prototype = Prototype(model)
    return prototype if prototype.is_suitable else None
