"""Networks of many kinds with their data: for `zoo.py`, and in a small size for the tests."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers


@dataclass(frozen=True)
class Size:
    """The size of the data and of the networks, whose widths are multiplied by `scale`."""

    n_rows: int
    side: int  # of an image
    length: int  # of a sequence
    scale: float = 1.0

    def units(self, usual: int) -> int:
        """A layer's units."""
        return max(2, round(usual * self.scale))


USUAL = Size(n_rows=1024, side=28, length=32)
TINY = Size(n_rows=40, side=10, length=6, scale=0.125)
CLASSES, FEATURES, WORDS = 3, 8, 200


@dataclass(frozen=True)
class Network:
    """A kind of network.

    `build(size)` makes the model, `data(size)` its rows; `searched` may say what else to build where a model
    has to take one array.
    """

    build: Callable[[Size], Any]
    data: Callable[[Size], Any]
    searched: Callable[[Size], Any] | None = None

    def model(self, size: Size = USUAL, learning_rate: float = 0.01) -> Any:
        """A compiled model."""
        return _compiled(self.build(size), learning_rate)

    def one_array(self, size: Size = USUAL, learning_rate: float = 0.01) -> Any:
        """A compiled model that takes one array."""
        return _compiled((self.searched or self.build)(size), learning_rate)

    def rows(self, size: Size = USUAL) -> tuple[Any, np.ndarray]:
        """X and y."""
        X = self.data(size)
        return X, np.random.default_rng(1).integers(0, CLASSES, size.n_rows)


def _compiled(model: Any, learning_rate: float) -> Any:
    model.compile(keras.optimizers.SGD(learning_rate), "sparse_categorical_crossentropy")
    return model


def _table(size: Size) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(size.n_rows, 2 * FEATURES)).astype("float32")


def _images(size: Size) -> np.ndarray:
    return np.random.default_rng(0).random((size.n_rows, size.side, size.side, 1), "float32")


def _sequences(size: Size) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(size.n_rows, size.length, FEATURES)).astype("float32")


def _words(size: Size) -> np.ndarray:
    return np.random.default_rng(0).integers(0, WORDS, (size.n_rows, size.length)).astype("int32")


def _two_tables(size: Size) -> list[np.ndarray]:
    table = _table(size)
    return [table[:, :FEATURES], table[:, FEATURES:]]


def _stack(inputs: Any, *hidden: Any) -> Any:
    return keras.Sequential([inputs, *hidden, layers.Dense(CLASSES, "softmax")])


def _perceptron(n_hidden: int, units: int) -> Callable[[Size], Any]:
    def build(size: Size) -> Any:
        hidden = [layers.Dense(size.units(units), "relu") for _ in range(n_hidden)]
        return _stack(layers.Input((2 * FEATURES,)), *hidden)

    return build


def _convolutional(layer: Any, *filters: int) -> Callable[[Size], Any]:
    def build(size: Size) -> Any:
        hidden = []
        for number in filters:
            hidden += [layer(size.units(number), 3, activation="relu"), layers.MaxPooling2D()]
        return _stack(layers.Input((size.side, size.side, 1)), *hidden, layers.Flatten())

    return build


def _conv1d(size: Size) -> Any:
    return _stack(
        layers.Input((size.length, FEATURES)),
        layers.Conv1D(size.units(32), 3, activation="relu", padding="same"),
        layers.MaxPooling1D(),
        layers.Conv1D(size.units(64), 3, activation="relu", padding="same"),
        layers.GlobalAveragePooling1D(),
    )


def _normalized(size: Size) -> Any:
    hidden: list[Any] = []
    for filters in (16, 32):
        hidden += [
            layers.Conv2D(size.units(filters), 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
        ]
    return _stack(layers.Input((size.side, size.side, 1)), *hidden, layers.GlobalAveragePooling2D())


def _recurrent(layer: Callable[[int], Any], units: int = 32) -> Callable[[Size], Any]:
    def build(size: Size) -> Any:
        return _stack(layers.Input((size.length, FEATURES)), layer(size.units(units)))

    return build


def _of_words(*hidden: Callable[[Size], Any]) -> Callable[[Size], Any]:
    def build(size: Size) -> Any:
        made = [layer(size) for layer in hidden]
        return _stack(
            layers.Input((size.length,), dtype="int32"), layers.Embedding(WORDS, size.units(16)), *made
        )

    return build


def _attention(size: Size) -> Any:
    inputs = layers.Input((size.length, FEATURES))
    attended = layers.MultiHeadAttention(2, 8)(inputs, inputs)
    hidden = layers.LayerNormalization()(layers.Add()([inputs, attended]))
    pooled = layers.GlobalAveragePooling1D()(hidden)
    return keras.Model(inputs, layers.Dense(CLASSES, "softmax")(pooled))


def _towers(one: Any, other: Any, size: Size) -> Any:
    towers = [layers.Dense(size.units(32), "relu")(half) for half in (one, other)]
    hidden = layers.Dense(size.units(32), "relu")(layers.Concatenate()(towers))
    return layers.Dense(CLASSES, "softmax")(hidden)


def _two_inputs(size: Size) -> Any:
    inputs = [layers.Input((FEATURES,)), layers.Input((FEATURES,))]
    return keras.Model(inputs, _towers(*inputs, size))


def _split_input(size: Size) -> Any:
    inputs = layers.Input((2 * FEATURES,))
    halves = layers.Reshape((2, FEATURES))(inputs)
    one, other = (layers.Flatten()(layers.Cropping1D(crop)(halves)) for crop in ((0, 1), (1, 0)))
    return keras.Model(inputs, _towers(one, other, size))


NETWORKS = {
    "perceptron 2 x 30": Network(_perceptron(2, 30), _table),
    "perceptron 3 x 300": Network(_perceptron(3, 300), _table),
    "Conv2D 16/32": Network(_convolutional(layers.Conv2D, 16, 32), _images),
    "Conv2D 32/64": Network(_convolutional(layers.Conv2D, 32, 64), _images),
    "Conv2D, BatchNormalization": Network(_normalized, _images),
    "SeparableConv2D 16/32": Network(_convolutional(layers.SeparableConv2D, 16, 32), _images),
    "Conv1D 32/64": Network(_conv1d, _sequences),
    "SimpleRNN": Network(_recurrent(layers.SimpleRNN), _sequences),
    "LSTM": Network(_recurrent(layers.LSTM), _sequences),
    "LSTM, unrolled": Network(
        _recurrent(lambda units: layers.LSTM(units, unroll=True), units=16), _sequences
    ),
    "GRU": Network(_recurrent(layers.GRU), _sequences),
    "Bidirectional LSTM": Network(
        _recurrent(lambda units: layers.Bidirectional(layers.LSTM(units)), units=16), _sequences
    ),
    "Embedding, pooled": Network(_of_words(lambda _: layers.GlobalAveragePooling1D()), _words),
    "Embedding, LSTM": Network(_of_words(lambda size: layers.LSTM(size.units(32))), _words),
    "attention": Network(_attention, _sequences),
    "two inputs": Network(_two_inputs, _two_tables, searched=_split_input),
}
