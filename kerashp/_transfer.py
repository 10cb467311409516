"""A network that begins with another's lower layers."""

from typing import Any

import keras

from kerashp._arguments import Arguments
from kerashp._compat.keras import compile_config, flatten_layers
from kerashp._statistics import take_statistics


def transfer(source_model: Any, target_model: Any, layers: int | None = None, freeze: bool = True) -> Any:
    """Copy the lower layers of a trained network into a new one, and hold them there at first.

    Layers are counted from the input, those with weights only (a Dense or a BatchNormalization, no Dropout);
    the i-th of the target gets the weights of the i-th of the source.

    Parameters
    ----------
    source_model : keras.Model
        Built; it is not changed.
    target_model : keras.Model
        Built; compiled if it is to be trained right away.
    layers : int, default=None
        How many; None is all but the last, which is the output's.
    freeze : bool, default=True
        Whether training leaves the copied layers as they are, until `unfreeze`.

    Returns
    -------
    keras.Model
        `target_model`. Its optimizer begins anew.

    Raises
    ------
    TypeError, ValueError
        If a model is none or is not built, if there are not so many layers, or if a layer's class or the
        shapes of its weights differ, by name; then nothing is copied.

    See Also
    --------
    unfreeze : Train all layers, at a lower rate.

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
    sources = _weighted(check, "source_model", source_model)
    targets = _weighted(check, "target_model", target_model)
    most = min(len(sources), len(targets))
    n_layers = most - 1 if layers is None else check.integer("layers", layers, at_least=1)
    if not 1 <= n_layers <= most:
        raise ValueError(
            f"transfer: layers must be 1 to {most}, the layers with weights that both models have (the "
            f"source {len(sources)}, the target {len(targets)}); got {layers}"
        )
    pairs = list(zip(sources[:n_layers], targets, strict=False))
    for index, (source, target) in enumerate(pairs, 1):
        _check_alike(index, source, target)
    for source, target in pairs:
        target.set_weights(source.get_weights())
        if freeze:
            target.trainable = False
    take_statistics(target_model)
    if target_model.compiled:
        _take(target_model, _renewed(target_model.optimizer))
    return target_model


def unfreeze(model: Any, learning_rate: float) -> Any:
    """Train all layers of a model from here on, at a rate that does not spoil what the lower ones know.

    Parameters
    ----------
    model : keras.Model
        Compiled; one whose lower layers `transfer` froze.
    learning_rate : float
        From here on; the usual advice is a tenth of the one before, or less.

    Returns
    -------
    keras.Model
        `model`. Its optimizer begins anew.

    Raises
    ------
    TypeError, ValueError
        If `model` is none or is not compiled, or if `learning_rate` is no positive number.

    Notes
    -----
    A BatchNormalization that is not frozen learns the new data's means and variances.

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
    _weighted(check, "model", model)
    if not model.compiled:
        raise ValueError("unfreeze: model must be compiled; got one that is not. Call its compile first")
    optimizer = _renewed(model.optimizer, rate)
    for layer in flatten_layers(model):  # Keras hands a value on only where it is new
        layer.trainable = True
    _take(model, optimizer)
    return model


def weighted_layers(model: Any) -> list[Any]:
    """The layers that have weights, from the input on."""
    return [layer for layer in model.layers if layer.weights]


def _weighted(check: Arguments, name: str, model: Any) -> list[Any]:
    if not isinstance(model, keras.Model):
        raise check.wrong_type(name, "a keras.Model", model)
    if not model.built:
        raise ValueError(f"{check.caller}: {name} must be built; got one that is not. Give it an Input")
    return weighted_layers(model)


def _check_alike(index: int, source: Any, target: Any) -> None:
    one, other = map(_described, (source, target))
    if one != other:
        raise ValueError(
            f"transfer: layer {index} must be the same in both models: the source's {source.name!r} is "
            f"{one}, the target's {target.name!r} is {other}. Build the target alike, or pass fewer layers"
        )


def _described(layer: Any) -> str:
    return f"{type(layer).__name__} with {', '.join(str(tuple(weight.shape)) for weight in layer.weights)}"


def _renewed(optimizer: Any, learning_rate: float | None = None) -> Any:
    """A new optimizer like this one, which knows the weights that were trained before and no others."""
    config = optimizer.get_config()
    return type(optimizer).from_config(config if learning_rate is None else _with_rate(config, learning_rate))


def _with_rate(config: dict[str, Any], learning_rate: float) -> dict[str, Any]:
    inner = config.get("inner_optimizer")  # of one that scales the loss
    if inner is None:
        return {**config, "learning_rate": learning_rate}
    return {
        **config,
        "inner_optimizer": {**inner, "config": _with_rate(inner["config"], learning_rate)},
    }


def _take(model: Any, optimizer: Any) -> None:
    """Let a compiled model train by another optimizer, and be saved with it."""
    model.optimizer = optimizer
    compile_config(model)["optimizer"] = optimizer
    model.train_function = None  # which Keras traced for the weights trained before
