"""The base class of both multilayer perceptrons."""

import hashlib
import math
from collections.abc import Hashable
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import keras
import numpy as np
from sklearn.utils import Tags

from kerashp._arguments import Arguments, hidden_widths
from kerashp._compat.sklearn import HasMethods, Interval, KnownParameterNames, StrOptions
from kerashp._memory import Footprint
from kerashp._optimizers import optimizer_slots
from kerashp._statistics import scaling_of
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._columns.encoder import ColumnEncoder
from kerashp.estimators._columns.table import Table, TableColumns, columns_for_fit, columns_like
from kerashp.estimators._data.rows import Rows
from kerashp.estimators._data.standardization import INPUT_STATISTICS, quantile_bins
from kerashp.estimators._data.targets import data_arguments
from kerashp.estimators._parameters.constraints import TRAINING_CONSTRAINTS
from kerashp.estimators._parameters.schedules import SCHEDULES, named_regularization
from kerashp.estimators._training.convergence import AUTO
from kerashp.estimators._training.handover import is_suspending
from kerashp.estimators._training.prototypes import pending_network
from kerashp.estimators._training.shared_tables import computed_once, known_rows, made_once
from kerashp.layers._categorical_columns import SIZE_NAMES, CategoricalColumns, ColumnSizes
from kerashp.layers._hidden_layers import PARAMETRIZATIONS
from kerashp.layers._inputs import NUMERIC_EMBEDDINGS, SCALINGS, InputDesign
from kerashp.models import NetworkDesign
from kerashp.training import InputStatistics
from kerashp.training._members.convergence import Convergence

_CHECK = Arguments("build_model")
# Copies of weights and optimizer state: the model's, those of a compiled call, and those in transfer.
_COPIES = 4
_BATCH_STEP = 8  # of the sizes of equal batches
_MAX_AUTO_BATCH = 200  # as in scikit-learn's MLPs: min(200, n_samples)

# The parameters that are passed to build_model.
_NETWORK_CONSTRAINTS: dict[str, Any] = {
    "n_hidden": [Interval(Integral, 0, None, closed="left")],
    "n_neurons": [Interval(Integral, 1, None, closed="left"), StrOptions({"input"}), list, tuple, np.ndarray],
    "learning_rate": [Interval(Real, 0, None, closed="neither"), HasMethods("get_config"), None],
    "taper": [Interval(Real, 0, 1, closed="right")],
    "activation": [str, callable],
    "kernel_initializer": [str, callable],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "l1": [Interval(Real, 0, None, closed="left")],
    "l2": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    "activity_l1": [Interval(Real, 0, None, closed="left")],
    "batch_normalization": ["boolean"],
    "parametrization": [StrOptions(set(PARAMETRIZATIONS))],
    "parametric_activation": ["boolean"],
    "heads": [Interval(Integral, 1, None, closed="left")],
    "scaling": [StrOptions(set(SCALINGS))],
    "numeric_embedding": [StrOptions(set(NUMERIC_EMBEDDINGS))],
    "embedding_sigma": [Interval(Real, 0, None, closed="neither")],
    "embedding_bins": [Interval(Integral, 1, None, closed="left")],
    "input_scale_rate": [Interval(Real, 0, None, closed="neither"), None],
    "optimizer": [str, HasMethods("apply_gradients")],
    "momentum": [Interval(Real, 0, 1, closed="left"), None],
    "beta_1": [Interval(Real, 0, 1, closed="left"), None],
    "beta_2": [Interval(Real, 0, 1, closed="left"), None],
    "weight_decay": [Interval(Real, 0, None, closed="left"), None],
    "clipnorm": [Interval(Real, 0, None, closed="neither"), None],
}


def _effective_rows(rows: Rows) -> float:
    """The number of rows, with integer weights as repetitions; at least the number of rows with a weight."""
    if rows.sample_weight is None:
        return float(len(rows.X))
    return max(float(rows.sample_weight.sum()), float(np.count_nonzero(rows.sample_weight)), 1.0)


def equal_batch_size(n_samples: int, batch_size: int) -> int:
    """The size of as many batches of about equal size as so many rows make full ones of a given size.

    A multiple of 8 is preferred, since folds whose rows differ by one then have the same size, and train
    together; the last batch has a few rows less.

    >>> equal_batch_size(264, 256), equal_batch_size(900, 256), equal_batch_size(901, 256)
    (264, 304, 304)
    """
    n_batches = max(1, n_samples // batch_size)
    size = math.ceil(n_samples / n_batches)
    rounded = math.ceil(size / _BATCH_STEP) * _BATCH_STEP
    n_last = n_samples - (n_batches - 1) * rounded
    return rounded if size / 2 < n_last else size


def _means_of(network: keras.Model, n_features: int) -> np.ndarray:
    """The means with which a network standardises its inputs; 0 if it does not."""
    layer = scaling_of(network)
    if type(layer) is not keras.layers.Normalization:
        return np.zeros(n_features)
    return keras.ops.convert_to_numpy(layer.adapt_mean).astype(float).reshape(n_features)


def _check_same_columns(learned: ColumnEncoder, encoder: ColumnEncoder) -> None:
    if not np.array_equal(learned.is_category, encoder.is_category):
        raise ValueError(
            "warm_start_from was fitted with other columns: its categories are the columns "
            f"{np.flatnonzero(learned.is_category).tolist()} of {len(learned.is_category)}, those of X "
            f"{np.flatnonzero(encoder.is_category).tolist()} of {len(encoder.is_category)}"
        )


def _row_signature(rows: Rows) -> str:
    """Identifies the rows of a call; empty for a single row, which any stream may repeat."""
    return hashlib.sha256(rows.X[[0, -1]].tobytes()).hexdigest() if len(rows.X) > 1 else ""


class KerasMLP(KnownParameterNames, BaseKerasEstimator):
    """Builds its network by `build_model` with the values of its parameters."""

    _takes_axes = False
    _encodes_columns = True
    _remedy_for_text = (
        "Pass a data frame, whose text is encoded, name its columns in categorical_features, or encode it, "
        "say with sklearn.preprocessing.OneHotEncoder"
    )
    feature_encoder_: ColumnEncoder
    _l2_of_one_row: ClassVar[float]  # l2="auto" divides it by the number of rows
    _l2: float  # the penalty of a new model
    _first_rows: str | None = ""  # the signature of a stream's first rows; None once they are repeated

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_NETWORK_CONSTRAINTS,
        **TRAINING_CONSTRAINTS,
        "normalize": ["boolean"],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "embedding_dim": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "equal_batches": ["boolean"],
        "epochs": [*TRAINING_CONSTRAINTS["epochs"], StrOptions({AUTO})],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "dropout_schedule": [StrOptions(set(SCHEDULES))],
        "weight_decay_schedule": [StrOptions(set(SCHEDULES))],
        "dtype": [StrOptions({"float32", "float64"})],
    }

    n_hidden: int
    n_neurons: Any
    taper: float
    heads: int
    l2: Any
    normalize: bool
    scaling: str
    categorical_features: Any
    embedding_dim: int
    optimizer: Any
    batch_size: Any
    equal_batches: bool
    epochs: Any
    tol: float | None
    n_iter_no_change: int
    dropout_schedule: str
    weight_decay_schedule: str
    shuffle: bool
    warm_start_from: Any
    dtype: str
    verbose: Any

    def __init__(self, **parameters: Any) -> None:  # the signatures of subclasses have the defaults
        for name, value in parameters.items():
            setattr(self, name, value)

    def _dtype(self) -> str:
        return self.dtype

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    # Columns.

    def _table_columns(self, X: Any, *, reset: bool) -> TableColumns | None:
        """The columns of X if it is a table with categories; None if it is an array of numbers."""
        if reset:
            return columns_for_fit(X, self.categorical_features)
        return columns_like(X, self.feature_encoder_.is_category)

    def _read_table(self, X: Any, columns: TableColumns) -> Table:
        key, source = ("table", columns.is_category.tobytes()), known_rows(X)
        table: Table = made_once(source, key, lambda: replace(columns.read(), source=source))
        return table

    def _learn_columns(self, X: Table | np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
        """Learn the encoding of the columns from rows, and encode them."""

        def learned() -> tuple[ColumnEncoder, np.ndarray]:
            encoder = self._encoder_of(X, sample_weight)
            return encoder, encoder.encoded(X)

        if isinstance(X, Table) and sample_weight is None and self.warm_start_from is None:
            key = "encoded", X.is_category.tobytes(), X.numbers.dtype.str
            self.feature_encoder_, matrix = made_once(X.source, key, learned)
        else:
            self.feature_encoder_, matrix = learned()
        return matrix

    def _encoded_columns(self, X: Table | np.ndarray) -> np.ndarray:
        """The matrix that the network takes for rows like those of the fit."""
        encoder = self.feature_encoder_
        if not isinstance(X, Table):
            return encoder.encoded(X)
        key = "encoded for scores", X.is_category.tobytes(), X.numbers.dtype.str
        matrix: np.ndarray = made_once(X.source, key, lambda: encoder.encoded(X), by=encoder)
        return matrix

    def _encoder_of(self, X: Table | np.ndarray, sample_weight: np.ndarray | None) -> ColumnEncoder:
        """The encoder of a new fit: that of `warm_start_from`, whose weights belong to it, or a new one."""
        encoder = ColumnEncoder.fit(X, sample_weight)
        source = getattr(self.warm_start_from, "estimator", self.warm_start_from)  # of a FrozenEstimator
        learned = getattr(source, "feature_encoder_", None)
        if self.warm_start_from is not None and not isinstance(learned, ColumnEncoder) and encoder.sizes(1):
            raise ValueError(
                f"warm_start_from={self.warm_start_from!r} is a network whose codes of categories are not "
                "known, but X has categories or missing numbers: pass the fitted "
                f"{type(self).__name__} that it belongs to"
            )
        if isinstance(learned, ColumnEncoder) and (
            not learned.changes_nothing or len(learned.is_category) == len(encoder.is_category)
        ):
            _check_same_columns(learned, encoder)
            encoder = learned
        if not encoder.n_columns:
            raise ValueError(
                f"{type(self).__name__} needs a column of X with values; got only missing ones in the "
                f"{len(encoder.is_category)} columns, in the rows with a weight. Pass other columns"
            )
        return encoder

    def _check_loaded(self) -> None:
        if self.feature_encoder_ is None:  # saved by kerashp 0.1, which refused missing numbers
            self.feature_encoder_ = ColumnEncoder.of_numbers(_means_of(self._network, self.n_features_in_))
        layers = [layer for layer in self._network.layers if isinstance(layer, CategoricalColumns)]
        # The parameter `embedding_dim` may have been set to another value after the fit.
        sizes = self.feature_encoder_.sizes(layers[0].embedding_dim if layers else 0)
        expected = [] if sizes is None or sizes.of_layer is None else [sizes.of_layer]
        received = [{name: layer.get_config()[name] for name in SIZE_NAMES} for layer in layers]
        if received != expected:
            raise ValueError(f"its encoder makes {expected}, its model takes {received}")
        if self.feature_encoder_.n_columns != self._input_shape[0]:
            raise ValueError(
                f"its encoder makes {self.feature_encoder_.n_columns} columns, its model takes "
                f"{self._input_shape[0]}"
            )

    @property
    def _columns(self) -> ColumnSizes | None:
        """What the network has to know about the columns of its input."""
        return self.feature_encoder_.sizes(int(self.embedding_dim))

    # The network.

    def _build(self, X: np.ndarray) -> keras.Model:
        return self._design(X).build()

    def _design(self, X: np.ndarray) -> NetworkDesign:
        self._check_memory(X)
        network = {name: getattr(self, name) for name in _NETWORK_CONSTRAINTS}
        return NetworkDesign.of(
            **network | {"l2": self._l2} | self._loss_arguments(),
            **data_arguments(self.target_encoder_, X),
            normalize=self._placeholder(X),
            columns=self._columns,
        )

    def _placeholder(self, X: np.ndarray) -> np.ndarray | None:
        """A row in place of those whose statistics the network gets when it trains; see `_standardize`."""
        needs_rows = self.normalize or self.numeric_embedding == "piecewise"
        return np.zeros((1, *X.shape[1:])) if needs_rows else None

    def _loss_arguments(self) -> dict[str, Any]:
        """The arguments of the network's design that concern its loss."""
        return {}

    def _new_model_and_width(self, X: np.ndarray, seed: int) -> tuple[Any, int]:
        is_overridden = type(self)._build is not KerasMLP._build
        if not is_suspending() or self.warm_start_from is not None or is_overridden:
            return super()._new_model_and_width(X, seed)
        design = self._design(X)  # once, since an initializer draws its seed
        return pending_network(design, seed) or design.build(), design.n_outputs

    def _start(self, rows: Rows, classes: np.ndarray | None) -> None:
        super()._start(rows, classes)
        self._l2 = self._l2_of_one_row / _effective_rows(rows) if self.l2 == "auto" else self.l2
        self._first_rows = _row_signature(rows)

    def _continue_fit(self, rows: Rows, *, partial: bool) -> None:
        super()._continue_fit(rows, partial=partial)
        regularizers = [getattr(layer, "kernel_regularizer", None) for layer in self._network.layers]
        penalties = [r for r in regularizers if isinstance(r, keras.regularizers.L1L2) and r.l2]
        if self.l2 != "auto" or not penalties:
            return
        if partial and self._first_rows and self._first_rows == _row_signature(rows):
            self._first_rows = None
        if partial and self._first_rows is None:
            return  # the rows of further epochs are counted already
        n_previous = self._l2_of_one_row / float(penalties[0].l2) if partial else 0.0
        for penalty in penalties:
            penalty.l2 = self._l2_of_one_row / (n_previous + _effective_rows(rows))
        # Keras traces penalties as constants.
        self._network.train_function = self._network.test_function = None

    def _build_key(self, rows: Rows, seed: int) -> Hashable:
        return super()._build_key(rows, seed), self._l2, self._columns

    def _standardize(self, rows: Rows, all_rows: Rows) -> None:
        # The model, which folds share, gets the statistics when it trains, or those of `warm_start_from`.
        n_numbers, floatx = self.feature_encoder_.n_numbers, self._floatx()
        is_piecewise = self.numeric_embedding == "piecewise"
        if self.warm_start_from is not None or not n_numbers or not (self.normalize or is_piecewise):
            self._statistics = None
            return
        kind = ("piecewise", self.embedding_bins) if is_piecewise else (self.scaling,)

        def computed() -> InputStatistics:
            if is_piecewise:
                return quantile_bins(rows, floatx, n_numbers, self.embedding_bins)
            return INPUT_STATISTICS[self.scaling](rows, floatx, n_numbers)

        arrays = rows.X, rows.sample_weight
        self._statistics = computed_once(arrays, (*kind, floatx, n_numbers), computed)

    def _check_memory(self, X: np.ndarray) -> None:
        """Refuse a network that does not fit in memory before it is built."""
        columns = self._columns
        n_inputs = X[0].size if columns is None else columns.width
        try:
            widths = hidden_widths(_CHECK, self.n_hidden, self.n_neurons, self.taper, n_inputs)
        except (TypeError, ValueError):  # build_model raises it again
            return
        batch_size = int(self._fit_arguments(len(X))["batch_size"])
        footprint = Footprint(
            self._n_inputs(X),
            self.target_encoder_.width_,
            itemsize=np.dtype(self.dtype).itemsize,
            copies=lambda: _COPIES * (1 + optimizer_slots(self.optimizer)),
            batch_size=min(batch_size, len(X)),
            n_embedded=0 if columns is None else columns.n_weights,
            n_heads=int(self.heads),
        )
        footprint.check(Arguments(type(self).__name__), self.n_neurons, widths)

    def _n_inputs(self, X: np.ndarray) -> int:
        """The inputs of the first Dense layer."""
        names = ("scaling", "numeric_embedding", "embedding_sigma", "embedding_bins", "input_scale_rate")
        arguments = {name: getattr(self, name) for name in names}
        return InputDesign.of(
            X.shape[1:], normalize=self._placeholder(X), columns=self._columns, **arguments
        ).width

    def _convergence(self) -> list[keras.callbacks.Callback]:
        return [] if self.tol is None else [Convergence(self.tol, self.n_iter_no_change)]

    def _regularization(self, epochs: int) -> list[keras.callbacks.Callback]:
        return [*named_regularization(self.dropout_schedule, self.weight_decay_schedule, epochs)]

    def _fit_arguments(self, n_samples: int) -> dict[str, Any]:
        batch_size = max(1, min(_MAX_AUTO_BATCH, n_samples)) if self.batch_size == "auto" else self.batch_size
        return {
            "batch_size": equal_batch_size(n_samples, batch_size) if self.equal_batches else batch_size,
            "epochs": self.epochs,
            "shuffle": self.shuffle,
            "verbose": self.verbose,
        }
