"""The layers of `build_model` before the first Dense layer."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerashp._arguments import Arguments
from kerashp.layers._categorical_columns import CategoricalColumns, ColumnSizes
from kerashp.layers._learned_scale import LearnedScale
from kerashp.layers._periodic_embedding import PeriodicEmbedding
from kerashp.layers._piecewise_linear_encoding import PiecewiseLinearEncoding
from kerashp.layers._robust_scaling import RobustScaling

_CHECK = Arguments("build_model")

SCALINGS = ("standard", "robust")
NUMERIC_EMBEDDINGS = ("none", "periodic", "piecewise")
_N_OUTPUTS = 4  # of a number's periodic embedding, as in RealMLP


@dataclass(frozen=True)
class InputDesign:
    """What happens to the inputs of a network before its first Dense layer.

    Attributes
    ----------
    shape : tuple of int
        The shape of a sample.
    rows : array-like of shape (n, *shape) or None
        The rows whose statistics scale or encode the inputs; None: they are not scaled.
    scaling : {"standard", "robust"}
        By which statistics.
    embedding : {"none", "periodic", "piecewise"}
        Of the numbers.
    sigma : float
        The standard deviation of a periodic embedding's frequencies at first.
    n_bins : int
        The bins of a piecewise-linear encoding.
    scale_rate : float or None
        The factor of the learning rate of learned scales; None: there are none.
    columns : ColumnSizes or None
        What the columns of the inputs are, of which only numbers are scaled and embedded; None: all numbers.
    """

    shape: tuple[int, ...]
    rows: Any
    scaling: str
    embedding: str
    sigma: float
    n_bins: int
    scale_rate: float | None
    columns: ColumnSizes | None = None

    @classmethod
    def of(
        cls,
        shape: tuple[int, ...],
        *,
        normalize: Any,
        scaling: Any,
        numeric_embedding: Any,
        embedding_sigma: Any,
        embedding_bins: Any,
        input_scale_rate: Any,
        columns: ColumnSizes | None = None,
    ) -> "InputDesign":
        """Check the arguments of `build_model`."""
        embedding = _CHECK.choice("numeric_embedding", numeric_embedding, NUMERIC_EMBEDDINGS)
        if embedding == "piecewise" and normalize is None:
            raise ValueError(
                "build_model: normalize must be the training rows with numeric_embedding='piecewise', whose "
                "bins are quantiles of them; got None"
            )
        return cls(
            shape,
            normalize,
            _CHECK.choice("scaling", scaling, SCALINGS),
            embedding,
            _CHECK.positive("embedding_sigma", embedding_sigma),
            _CHECK.integer("embedding_bins", embedding_bins, at_least=1),
            None if input_scale_rate is None else _CHECK.positive("input_scale_rate", input_scale_rate),
            columns,
        )

    @property
    def width(self) -> int:
        """The inputs of the first Dense layer."""
        outputs = {"none": 1, "periodic": _N_OUTPUTS, "piecewise": self.n_bins}
        width = math.prod(self.shape) if self.columns is None else self.columns.width
        return width + self._n_numbers * (outputs[self.embedding] - 1)

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of the layer of categories, if there is one; see `kerashp.training.units_of`."""
        columns = self.columns
        if columns is None or columns.of_layer is None:
            return ()
        return columns.n_one_hot_categories, columns.n_embedded_categories, columns.embedding_dim

    @property
    def n_embedded_weights(self) -> int:
        """The weights of the embeddings of categories."""
        return 0 if self.columns is None else self.columns.n_weights

    @property
    def _n_numbers(self) -> int:
        return math.prod(self.shape) if self.columns is None else self.columns.n_numbers

    @property
    def _of_numbers(self) -> dict[str, int]:
        """Arguments of layers that treat only some columns."""
        return {} if self.columns is None else {"n_numbers": self.columns.n_numbers}

    @property
    def kind(self) -> tuple[Any, ...]:
        """What designs of networks of one graph shape have in common."""
        return (
            self.shape,
            self.rows is not None and self.scaling,
            self.embedding,
            self.embedding == "piecewise" and self.n_bins,
            self.scale_rate is not None,
            self.columns and self.columns.kind,
        )

    def layers(self, dtype: Any) -> list[Any]:
        """New layers; those that compute with weights have this dtype."""
        layers = [keras.Input(self.shape, name="input")]
        if self.rows is not None and self.embedding != "piecewise" and self._n_numbers:
            layers.append(self._scaling_layer())
        if len(self.shape) > 1:
            layers.append(keras.layers.Flatten(name="flatten", dtype=dtype))
        if self.embedding == "piecewise" and self._n_numbers:
            layers.append(self._encoding_layer())
        return [*layers, *self._trained_layers(dtype)]

    def initializers(self, dtype: Any) -> dict[str, list[tuple[Callable[..., Any], Any]]]:
        """What makes the initial weights of the layers that are trained, by their names.

        With each is the shape of the weight if designs of one `kind` may differ in it, otherwise None. Random
        ones are drawn in the order in which `layers` draws them.
        """
        shapes = {"categorical_columns": self.widths[1:], "learned_scale": (self.width,)}
        return {
            layer.name: [(initializer, shapes.get(layer.name)) for initializer in layer.weight_initializers]
            for layer in self._trained_layers(dtype)
        }

    def _trained_layers(self, dtype: Any) -> list[Any]:
        layers: list[Any] = []
        if self.embedding == "periodic" and self._n_numbers:
            frequency = keras.initializers.RandomNormal(stddev=self.sigma)
            layers.append(
                PeriodicEmbedding(
                    n_outputs=_N_OUTPUTS,
                    frequency_initializer=frequency,
                    **self._of_numbers,
                    name="periodic_embedding",
                    dtype=dtype,
                )
            )
        categories = None if self.columns is None else self.columns.of_layer
        if categories is not None:
            initializer = keras.initializers.RandomUniform()  # which draws its seed
            layers.append(
                CategoricalColumns(
                    **categories,
                    embeddings_initializer=initializer,
                    name="categorical_columns",
                    dtype=dtype,
                )
            )
        if self.scale_rate is not None:
            layers.append(LearnedScale(self.scale_rate, name="learned_scale", dtype=dtype))
        return layers

    def _scaling_layer(self) -> Any:
        floatx = keras.config.floatx()
        rows = _CHECK.rows("normalize", self.rows, self.shape, floatx)
        if self.scaling == "standard":
            return _normalization(rows, self.shape, floatx)
        layer = RobustScaling(**self._of_numbers, name="robust_scaling", dtype=floatx)
        layer.adapt(rows)
        return layer

    def _encoding_layer(self) -> Any:
        floatx = keras.config.floatx()
        rows = _CHECK.rows("normalize", self.rows, self.shape, floatx)
        layer = PiecewiseLinearEncoding(
            self.n_bins, **self._of_numbers, name="piecewise_linear_encoding", dtype=floatx
        )
        layer.adapt(rows.reshape(len(rows), -1))
        return layer


def _normalization(rows: np.ndarray, shape: tuple[int, ...], floatx: str) -> Any:
    layer = keras.layers.Normalization(axis=-1, name="normalization", dtype=floatx)
    layer.build((None, *shape))  # otherwise adapt puts the number of rows into the config
    with np.errstate(over="ignore", invalid="ignore"):
        layer.adapt(rows)
    _set_unit_variance_of_constants(layer, rows)
    if not all(np.isfinite(weight).all() for weight in layer.get_weights()):
        expected = f"rows whose variance fits into {floatx} (divide the largest features by a constant)"
        raise _CHECK.wrong_value("normalize", expected, rows)
    return layer


def _set_unit_variance_of_constants(layer: Any, rows: np.ndarray) -> None:
    """Give constant features a variance of 1; Keras would divide later values of them by 1e-7."""
    axes = tuple(range(rows.ndim - 1))
    low, high = rows.min(axis=axes), rows.max(axis=axes)
    mean, variance, count = layer.get_weights()
    layer.set_weights([np.where(low == high, low, mean), np.where(low == high, 1, variance), count])
    layer.finalize_state()  # the layer computes with copies of its weights
