"""The hidden layers and the output layer of `build_model`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from kerashp._arguments import Arguments, layer_copy
from kerashp.layers._heads import HeadAffine, HeadOutputs, HeadScale
from kerashp.layers._initializers import RandomSigns, spawned_seed
from kerashp.layers._parametric_activation import ParametricActivation
from kerashp.layers._parametrization import FanInScaledInitializer, FanInScaling, LearnedBias

_CHECK = Arguments("build_model")

PARAMETRIZATIONS = ("standard", "ntk")

# In lower case and without underscores, so that a function (`leaky_relu`) and a layer (`LeakyReLU`) match.
_LIKE_RELU = "relu relu6 leakyrelu prelu elu celu gelu silu hardsilu mish softplus squareplus sparseplus"
_LIKE_TANH = "tanh hardtanh softsign selu"


def suited_initializer(activation: Callable) -> Any:
    """The initializer that keeps the scale of a signal through this activation."""
    name = getattr(activation, "__name__", type(activation).__name__).replace("_", "").lower()
    if name in _LIKE_RELU.split():
        return keras.initializers.HeNormal()
    if name in _LIKE_TANH.split():
        return keras.initializers.LecunNormal()
    return keras.initializers.GlorotUniform()


def _initializer_for_layer(initializer: Any, activation: Callable, index: int) -> Any:
    """A new initializer; one that has a seed gets another seed in each layer after the first."""
    if initializer is None:
        return suited_initializer(activation)
    if not isinstance(initializer, keras.initializers.Initializer):
        return initializer
    config = initializer.get_config()
    if isinstance(config.get("seed"), int):
        config["seed"] = spawned_seed(config["seed"], index)
    elif config.get("seed") is not None:
        config["seed"] = initializer.seed  # a shared SeedGenerator advances with each layer; a copy would not
    return _copied_initializer(initializer, config)


def _copied_initializer(initializer: Any, config: dict[str, Any]) -> Any:
    try:
        return type(initializer).from_config(config)
    except (TypeError, ValueError) as error:
        expected = "an initializer whose get_config() returns all arguments, since each layer gets a copy"
        raise ValueError(
            f"{_CHECK.wrong_value('kernel_initializer', expected, initializer)}: {error}"
        ) from error


def layer_dtype() -> Any:
    """Keras' global policy, or its current float type if the policy is a single float type.

    Keras sets the global policy when the first layer is made, and a later `set_floatx` does not change it.
    """
    policy = keras.config.dtype_policy()
    return keras.config.floatx() if policy.name in ("float32", "float64") else policy


@dataclass(frozen=True)
class LayerFactory:
    """Makes the layers of a model."""

    activation: Callable
    initializer: Any
    dropout: float
    l1: float
    l2: float
    activity_l1: float
    batch_normalization: bool
    parametrization: str
    parametric_activation: bool
    heads: int
    embeds: bool  # whether the inputs are embedded numbers
    dtype: Any

    def hidden_layers(self, width: int, index: int) -> list[Any]:
        """The layers of a hidden Dense layer, its activation and its dropout."""
        if self.heads > 1:
            block = self._of_heads(width, index)
        elif self.batch_normalization:
            block = self._normalized(width, index)
        elif self.parametrization == "ntk":
            block = self._with_learned_bias(width, index)
        else:
            block = self._unnormalized(width, index)
        block = [*self._fan_in_scaling(index), *block]
        if self.dropout:
            block.append(keras.layers.Dropout(self.dropout, name=f"dropout_{index + 1}", dtype=self.dtype))
        return block

    def kernel_initializer(self, next_activation: Callable, index: int) -> Any:
        """A new initializer of the kernel of the Dense layer at this index."""
        initializer = _initializer_for_layer(self.initializer, next_activation, index)
        return FanInScaledInitializer(initializer) if self.parametrization == "ntk" else initializer

    def head_initializer(self, index: int) -> Any:
        """A new initializer of the scales of the heads before the Dense layer at this index."""
        if index:
            return keras.initializers.Ones()
        return keras.initializers.RandomNormal(stddev=1.0) if self.embeds else RandomSigns()

    def output_layers(self, width: int, activation: str, index: int) -> list[Any]:
        """The last Dense layer, and what comes before it."""
        function = keras.activations.get(activation)
        if self.heads > 1:
            return self._outputs_of_heads(width, function, index)
        if self.parametrization == "ntk":
            return [*self._fan_in_scaling(index), *self._outputs_with_learned_bias(width, index, function)]
        return [self._dense(width, index, function, name="output", activation=function)]

    def _outputs_with_learned_bias(self, width: int, index: int, activation: Callable) -> list[Any]:
        return [
            self._dense(width, index, activation, name="output", use_bias=False),
            LearnedBias(name="output_bias", dtype=self.dtype),
            keras.layers.Activation(activation, name="output_activation", dtype=self.dtype),
        ]

    def _fan_in_scaling(self, index: int) -> list[Any]:
        if self.parametrization != "ntk":
            return []
        return [FanInScaling(name=f"fan_in_scaling_{index + 1}", dtype=self.dtype)]

    def _unnormalized(self, width: int, index: int) -> list[Any]:
        name = f"hidden_{index + 1}"
        if self.parametric_activation:
            dense = self._dense(width, index, self.activation, name=name)
            return [dense, self._activation_layer(width, index)]
        options = self._activation_options(width)
        return [self._dense(width, index, options["activation"], name=name, **options)]

    def _of_heads(self, width: int, index: int) -> list[Any]:
        return [
            self._head_scale(index),
            self._dense(width, index, self.activation, name=f"hidden_{index + 1}", use_bias=False),
            HeadAffine(self.heads, name=f"head_affine_{index + 1}", dtype=self.dtype),
            self._activation_layer(width, index),
        ]

    def _head_scale(self, index: int) -> Any:
        initializer = self.head_initializer(index)
        return HeadScale(self.heads, initializer, name=f"head_scale_{index + 1}", dtype=self.dtype)

    def _outputs_of_heads(self, width: int, activation: Callable, index: int) -> list[Any]:
        before = [] if index else [self._head_scale(index)]
        output = HeadOutputs(
            width,
            self.heads,
            activation,
            self.kernel_initializer(activation, index),
            self._kernel_regularizer(),
            name="output",
            dtype=self.dtype,
        )
        return [*before, output]

    def _normalized(self, width: int, index: int) -> list[Any]:
        name = f"hidden_{index + 1}"
        return [
            self._dense(width, index, self.activation, name=name, use_bias=False),
            keras.layers.BatchNormalization(name=f"batch_normalization_{index + 1}", dtype=self.dtype),
            self._activation_layer(width, index),
        ]

    def _with_learned_bias(self, width: int, index: int) -> list[Any]:
        return [
            self._dense(width, index, self.activation, name=f"hidden_{index + 1}", use_bias=False),
            LearnedBias(name=f"bias_{index + 1}", dtype=self.dtype),
            self._activation_layer(width, index),
        ]

    def _activation_layer(self, width: int, index: int) -> Any:
        options = self._activation_options(width)
        kind = ParametricActivation if self.parametric_activation else keras.layers.Activation
        return kind(**options, name=f"activation_{index + 1}", dtype=self.dtype)

    def _activation_options(self, width: int) -> dict[str, Any]:
        # keras.regularizers.L1 would round its factor to float32.
        factor = self.activity_l1_of_head
        regularizer = keras.regularizers.L1L2(l1=factor) if factor else None
        return {
            "activation": layer_copy(self.activation, width, self.dtype),
            "activity_regularizer": regularizer,
        }

    def _dense(self, width: int, index: int, next_activation: Callable, **options: Any) -> Any:
        return keras.layers.Dense(
            width,
            kernel_initializer=self.kernel_initializer(next_activation, index),
            kernel_regularizer=self._kernel_regularizer(),
            dtype=self.dtype,
            **options,
        )

    def _kernel_regularizer(self) -> Any:
        return keras.regularizers.L1L2(l1=self.l1, l2=self.l2) if self.l1 or self.l2 else None

    @property
    def activity_l1_of_head(self) -> float:
        """The penalty on the outputs of each head, whose mean over the heads is that of the network."""
        return self.activity_l1 / self.heads


def check_heads(factory: LayerFactory) -> None:
    """Refuse what networks of several heads have not."""
    if factory.heads == 1:
        return
    if factory.batch_normalization:
        raise _CHECK.wrong_value("batch_normalization", "False with heads > 1, as TabM has none", True)
    if factory.parametrization != "standard":
        raise _CHECK.wrong_value(
            "parametrization",
            "'standard' with heads > 1, as TabM has it",
            factory.parametrization,
        )
