"""Transfer learning: a network that starts with the lower layers of another."""

from typing import Any

import keras

from kerashp._arguments import Arguments
from kerashp._compat.keras import compile_config, flatten_layers
from kerashp._statistics import update_normalization


def transfer(source_model: Any, target_model: Any, layers: int | None = None, freeze: bool = True) -> Any:
    """Copy the weights of the lower layers of a trained network into a new one, and freeze them.

    Only layers with weights count (a Dense or a BatchNormalization, no Dropout), from the input on: the i-th
    layer of the target gets the weights of the i-th layer of the source.

    Parameters
    ----------
    source_model : keras.Model
        A built model; it is not changed.
    target_model : keras.Model
        A built model, compiled if it is to be trained next.
    layers : int, default=None
        The number of layers to copy; None copies all but the last, the output layer.
    freeze : bool, default=True
        Whether training leaves the copied layers unchanged until `unfreeze` is called.

    Returns
    -------
    keras.Model
        `target_model`, with a new optimizer of the same configuration.

    Raises
    ------
    TypeError, ValueError
        If a model is not a built keras.Model, if it has too few layers, or if the class or the shapes of a
        layer's weights differ. Nothing is copied then.

    See Also
    --------
    unfreeze : Make all layers trainable, at a lower learning rate.

    References
    ----------
    A. Géron, Hands-On Machine Learning, ch. 11, "Reusing Pretrained Layers".

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp import build_model, fit
    >>> from kerashp.models import transfer, unfreeze
    >>> X = np.random.default_rng(0).normal(size=(100, 8))
    >>> source = build_model(2, 30)
    >>> _ = fit(source, X, X[:, 0], epochs=5, verbose=0)
    >>> target = transfer(source, build_model(2, 30, task="binary"))
    >>> _ = fit(target, X, X[:, 0] > 0, epochs=2, verbose=0)  # only the output learns
    >>> bool((target.get_weights()[0] == source.get_weights()[0]).all())
    True
    >>> _ = fit(unfreeze(target, learning_rate=1e-4), X, X[:, 0] > 0, epochs=2, verbose=0)
    >>> bool((target.get_weights()[0] == source.get_weights()[0]).all())
    False
    """
    check = Arguments("transfer")
    freeze = check.flag("freeze", freeze)
    sources = _checked_layers(check, "source_model", source_model)
    targets = _checked_layers(check, "target_model", target_model)
    n_shared = min(len(sources), len(targets))
    n_layers = n_shared - 1 if layers is None else check.integer("layers", layers, at_least=1)
    if not 1 <= n_layers <= n_shared:
        raise ValueError(
            f"transfer: layers must be from 1 to {n_shared}, the number of layers with weights in both "
            f"models (source {len(sources)}, target {len(targets)}); got {layers}"
        )
    pairs = list(zip(sources[:n_layers], targets, strict=False))
    for index, (source, target) in enumerate(pairs, 1):
        _check_equal_layers(index, source, target)
    for source, target in pairs:
        target.set_weights(source.get_weights())
        if freeze:
            target.trainable = False
    update_normalization(target_model)
    if target_model.compiled:
        _set_optimizer(target_model, _new_optimizer(target_model.optimizer))
    return target_model


def unfreeze(model: Any, learning_rate: float) -> Any:
    """Make all layers of a model trainable, with a learning rate that preserves the lower layers.

    Parameters
    ----------
    model : keras.Model
        A compiled model whose lower layers `transfer` froze.
    learning_rate : float
        The new learning rate; the usual advice is at most a tenth of the previous one.

    Returns
    -------
    keras.Model
        `model`, with a new optimizer of the same configuration.

    Raises
    ------
    TypeError, ValueError
        If `model` is not a compiled keras.Model, or `learning_rate` is not a positive number.

    Notes
    -----
    A BatchNormalization layer that is not frozen learns the means and variances of the new data.

    References
    ----------
    A. Géron, Hands-On Machine Learning, ch. 11; https://keras.io/guides/transfer_learning/

    Examples
    --------
    >>> from kerashp import build_model
    >>> from kerashp.models import transfer, unfreeze
    >>> model = unfreeze(transfer(build_model(2, 30), build_model(2, 30)), learning_rate=1e-4)
    >>> len(model.trainable_variables), round(float(model.optimizer.learning_rate), 6)
    (6, 0.0001)
    """
    check = Arguments("unfreeze")
    rate = check.positive("learning_rate", learning_rate)
    _checked_layers(check, "model", model)
    if not model.compiled:
        raise ValueError("unfreeze: model must be compiled; got one that is not. Call its compile first")
    optimizer = _new_optimizer(model.optimizer, rate)
    for layer in flatten_layers(model):  # Keras passes a value on to inner layers only if it is new
        layer.trainable = True
    _set_optimizer(model, optimizer)
    return model


def weighted_layers(model: Any) -> list[Any]:
    """The layers that have weights, from the input to the output."""
    return [layer for layer in model.layers if layer.weights]


def _checked_layers(check: Arguments, name: str, model: Any) -> list[Any]:
    if not isinstance(model, keras.Model):
        raise check.wrong_type(name, "a keras.Model", model)
    if not model.built:
        raise ValueError(f"{check.caller}: {name} must be built; got one that is not. Give it an Input")
    return weighted_layers(model)


def _check_equal_layers(index: int, source: Any, target: Any) -> None:
    source_summary, target_summary = map(_layer_summary, (source, target))
    if source_summary != target_summary:
        raise ValueError(
            f"transfer: layer {index} must be the same in both models: the source's {source.name!r} is "
            f"{source_summary}, the target's {target.name!r} is {target_summary}. Build the target with the "
            "same layer, or pass fewer layers"
        )


def _layer_summary(layer: Any) -> str:
    return f"{type(layer).__name__} with {', '.join(str(tuple(weight.shape)) for weight in layer.weights)}"


def _new_optimizer(optimizer: Any, learning_rate: float | None = None) -> Any:
    """A new optimizer of the same configuration, without state of the previously trained weights."""
    config = optimizer.get_config()
    return type(optimizer).from_config(config if learning_rate is None else _with_rate(config, learning_rate))


def _with_rate(config: dict[str, Any], learning_rate: float) -> dict[str, Any]:
    inner = config.get("inner_optimizer")  # that of a LossScaleOptimizer
    if inner is None:
        return {**config, "learning_rate": learning_rate}
    return {
        **config,
        "inner_optimizer": {**inner, "config": _with_rate(inner["config"], learning_rate)},
    }


def _set_optimizer(model: Any, optimizer: Any) -> None:
    """Replace the optimizer of a compiled model, also in the configuration that is saved."""
    model.optimizer = optimizer
    compile_config(model)["optimizer"] = optimizer
    model.train_function = None  # Keras traced it for the previously trained weights
