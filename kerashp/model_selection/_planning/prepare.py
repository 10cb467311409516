"""Fits that have stopped before their training: what trains, on which rows, and how."""

import math
import time
from collections.abc import Hashable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from inspect import signature
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np

from kerashp.callbacks import EarlyStopping
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._data.models import check_compiled
from kerashp.estimators._data.rows import Rows
from kerashp.estimators._nesting import innermost
from kerashp.estimators._training.arguments import FitArguments
from kerashp.estimators._training.handover import EstimatorState, FitSuspended, Fitting, suspending
from kerashp.estimators._training.pending import PendingNetwork
from kerashp.estimators._training.shared_tables import SharedTables, sharing_tables
from kerashp.model_selection._fits.deadline import Deadline
from kerashp.model_selection._fits.result import FitId
from kerashp.model_selection._fits.task import Task
from kerashp.model_selection._planning.data_pool import DataPool, RowSubset
from kerashp.model_selection._planning.preprocessing_cache import PreprocessingCache, use_cache
from kerashp.training import (
    InputStatistics,
    Mode,
    Variant,
    fit,
    graph_shape,
    is_only_a_schedule,
    is_rowwise,
    isolated,
    last_hidden_weights,
    mode_of,
    obstacle,
    units_of,
)
from kerashp.training._keras.regularization import is_only_a_regularization
from kerashp.training._members.convergence import Convergence
from kerashp.training._members.room import head_layers_of
from kerashp.training._runtime.devices import on_host
from kerashp.training._stacking.columns import columns_of, place_of_embedding

_STOPPING = keras.callbacks.EarlyStopping
# Callbacks whose effect a population has itself.
_SHARED_CALLBACKS = (_STOPPING, EarlyStopping, Convergence, keras.callbacks.TerminateOnNaN)
_DEFAULTS = {p.name: p.default for p in signature(fit).parameters.values() if p.default is not p.empty}
_SHARED_ARGUMENTS = {"initial_epoch": 0, "validation_freq": 1}  # with other values a fit trains separately
_BATCH_SIZE = 32  # as in Keras
_FAILED = "its fit fails before the training"

_Properties = tuple[str | None, bool, Mode, tuple[int, ...]]  # of a model, see `FitPreparer._shape`


@dataclass(frozen=True)
class PreparedFit:
    """A fit that can train together with others."""

    task: Task
    state: EstimatorState
    arguments: FitArguments
    seed: int
    dtype: str | None
    has_own_code: bool  # the model has code of the user: it trains with the fits of its candidate alone
    train: RowSubset
    validation: RowSubset | None
    kind: Hashable  # of its program, without the room
    group_key: Hashable  # fits of one key can be members of one population
    mode: Mode  # in which its program is compiled
    seconds: float  # of its preparation
    statistics: InputStatistics | None  # of the inputs, where its model standardizes them
    columns: tuple[int, ...] = ()  # of the rows by kind, if its model could have more of them

    @property
    def network(self) -> Any:
        """A model, or a PendingNetwork."""
        return self.state.network

    @property
    def model(self) -> Any:
        """A model of its graph shape, whose numbers, widths and values may be others."""
        return self.state.architecture

    @property
    def variant(self) -> Variant | None:
        """The differences of its network from the model."""
        return self.network.variant if isinstance(self.network, PendingNetwork) else None

    @property
    def row_subsets(self) -> list[RowSubset]:
        """The training rows, and those to validate on."""
        return [subset for subset in (self.train, self.validation) if subset is not None]

    @property
    def stopping(self) -> Any:
        """The EarlyStopping callback, if there is one."""
        return next((c for c in self.arguments.callbacks if isinstance(c, _STOPPING)), None)

    @property
    def monitor(self) -> str | None:
        """What EarlyStopping monitors, unless every fit has it: without it, training raises an error."""
        return None if self.stopping is None or self.stopping.monitor == "loss" else self.stopping.monitor

    @property
    def schedule(self) -> Any:
        """The callback that sets the learning rate of every step, if there is one."""
        return next(filter(is_only_a_schedule, self.arguments.callbacks), None)

    @property
    def regularization(self) -> Any:
        """The callback that sets the dropout rates and the weight decay of every step, if there is one."""
        return next(filter(is_only_a_regularization, self.arguments.callbacks), None)

    @property
    def batch_size(self) -> int:
        return self.arguments.batch_size or _BATCH_SIZE

    @property
    def n_steps(self) -> int:
        """The number of steps of an epoch."""
        return -(-len(self.train.rows) // self.batch_size)

    @property
    def n_epochs(self) -> int:
        """How many epochs it trains at the most, without those before a pause."""
        n_done = 0 if self.task.paused is None else self.task.paused.n_epochs
        return max(0, int(self.arguments.epochs) - n_done)

    @cached_property
    def units(self) -> tuple[int, ...]:
        """The units of the Dense layers of its network."""
        return units_of(self.model) if self.variant is None else self.variant.units

    @property
    def last_hidden(self) -> slice:
        """Which of the trained weights are of the last hidden layer."""
        weights = last_hidden_weights(self.model)
        n_more = self._place_of_embedding is not None
        return slice(weights.start + n_more, weights.stop + n_more)

    @cached_property
    def _place_of_embedding(self) -> int | None:
        return place_of_embedding(self.model) if self.columns else None

    @property
    def n_heads(self) -> int:
        """The number of heads of its network, each of which computes with each row."""
        return max((layer.n_heads for layer in head_layers_of(self.model)), default=1)

    @cached_property
    def shapes(self) -> np.ndarray:
        """The shapes of the trained weights, filled up with 1: `(n_weights, most axes)`.

        Those of weights of heads begin with the units. Embeddings that it lacks, but others of its group may
        have, are of shape (0, 0).
        """
        variables = self.model.trainable_variables
        weights = variables if self.variant is None else self.variant.values[0]
        of_heads = {id(v) for layer in head_layers_of(self.model) for v in layer.variables}
        shapes = [
            _beginning_with_units(*weight.shape) if id(variable) in of_heads else tuple(weight.shape)
            for variable, weight in zip(variables, weights, strict=True)
        ]
        if self._place_of_embedding is not None:
            shapes.insert(self._place_of_embedding, (0, 0))
        width = max(map(len, shapes))
        return np.array([shape + (1,) * (width - len(shape)) for shape in shapes])


def _beginning_with_units(n_heads: int, n_units: int, *others: int) -> tuple[int, int]:
    return n_units, n_heads * math.prod(others)


class FitPreparer:
    """Runs fits up to their training, and each distinct preprocessing once.

    Parameters
    ----------
    seed : int or None
        The seed of preprocessing that has no `random_state`; None lets it draw its own.
    samples : bool, default=False
        Whether to keep the fits of one candidate.

    Attributes
    ----------
    pool : DataPool
        The rows of all fits.
    tables : SharedTables
        The rows of all splits of a data frame.
    errors : dict from (candidate, split) to Exception
        The errors of fits that failed before their training.
    sample : list of (Task, Fitting)
        The fits of the first candidate of which none failed, or of the last candidate; they may be fits that
        cannot train with others.
    """

    def __init__(self, seed: int | None, samples: bool = False) -> None:
        self.pool = DataPool()
        self.errors: dict[FitId, Exception] = {}
        self.sample: list[tuple[Task, Fitting]] = []
        self._samples = samples
        self._cache = PreprocessingCache(seed)
        self._candidate = -1  # the one in preparation
        self._models: dict[Hashable, Any] = {}  # of this candidate
        self.tables = SharedTables()
        self._group_keys: dict[Any, Hashable] = {}  # by model, of this candidate
        self._by_shape: dict[Hashable, tuple[bool, Mode]] = {}
        self._properties: MutableMapping[Any, _Properties] = WeakKeyDictionary()  # by model

    def prepared(self, tasks: Sequence[Task], deadline: Deadline) -> list[PreparedFit | str]:
        """The prepared fit of each task, or the reason why it cannot train with others.

        Raises
        ------
        Stopped
        """
        answers = []
        for task in tasks:
            deadline.check()
            answers.append(self._prepared(task))
        return answers

    def _prepared(self, task: Task) -> PreparedFit | str:
        began = time.perf_counter()
        use_cache(task.estimator, self._cache)
        if task.candidate != self._candidate:
            self._candidate, self._models, self._group_keys = task.candidate, {}, {}
        estimator = task.candidates_estimator()  # raises an error for an unknown parameter
        reason = _why_not_suspended(estimator)
        if reason:
            return reason
        try:
            prepared = self._suspended(task, estimator, self._models)
            if isinstance(prepared, PreparedFit):
                key = self._group_keys.setdefault(prepared.network, prepared.group_key)
                if key != prepared.group_key:
                    # Its model belongs to fits of another group, which may train at the same time.
                    prepared = self._suspended(task, task.candidates_estimator(), {})
        except Exception as error:  # the fit will fail again, where scikit-learn handles the error
            self.errors[task.fit_id] = error.with_traceback(None)
            return _FAILED
        if isinstance(prepared, str):
            return prepared
        return replace(prepared, seconds=time.perf_counter() - began)

    def _suspended(self, task: Task, estimator: Any, models: dict[Hashable, Any]) -> PreparedFit | str:
        try:
            # Few of these models are ever needed: they are made on the host.
            with suspending(models), sharing_tables(self.tables), on_host():
                task.fit(estimator)
        except FitSuspended as suspended:
            self._keep_sample(task, suspended.fitting)
            return self.prepared_fit(task, suspended.fitting)
        return "it trains no Keras model"

    def _keep_sample(self, task: Task, fitting: Fitting) -> None:
        fits = [sample_task.fit_id for sample_task, _ in self.sample]
        if not self._samples or len(fits) == task.n_splits or task.fit_id in fits:
            return
        if fits and fits[0][0] != task.candidate:
            self.sample.clear()
        self.sample.append((task, fitting))

    def prepared_fit(self, task: Task, fitting: Fitting) -> PreparedFit | str:
        """The prepared fit of a fit that is ready to train, or the reason why it cannot train with others."""
        passed = fitting.all_rows()
        model, rows = fitting.state.architecture, fitting.rows
        data = {"x": rows.X, "y": rows.y, "sample_weight": rows.sample_weight}
        call = {**_DEFAULTS, **data, **fitting.arguments.to_mapping()}
        reason = obstacle(model, call) or _why_not_shared(fitting)
        if reason:
            return reason
        with isolated(dtype=fitting.dtype):
            shape, is_rowwise, mode, columns = self._shape(model, rows)
            block = self.pool.add(passed.X, fitting.state.target_encoder.transform(passed.y), columns)
            train, validation = self._row_subsets(fitting, block, len(passed.y), columns)
            if validation is not None and self.pool.row(validation.block) != self.pool.row(block):
                return "the rows of its validation_data differ in shape or type from the training rows"
        prepared = PreparedFit(
            task=task,
            state=fitting.state,
            arguments=replace(fitting.arguments, validation_data=None),
            seed=fitting.seed,
            dtype=fitting.dtype,
            has_own_code=shape is model,
            train=train,
            validation=validation,
            kind=None,
            group_key=None,
            mode=mode,
            seconds=0.0,
            statistics=fitting.statistics,
            columns=columns,
        )
        kind = self._kind(prepared, shape, is_rowwise)
        return replace(prepared, kind=kind, group_key=(kind, prepared.monitor))

    def _kind(self, prepared: PreparedFit, shape: Hashable, is_rowwise: bool) -> Hashable:
        """What fits must have in common to train by one program; see `traits_of`."""
        train, validation = prepared.train, prepared.validation
        any_batch_size = is_rowwise and prepared.n_steps == 1  # any larger one gives the same
        return (
            (prepared.task.candidate, prepared.shapes.tobytes()) if prepared.has_own_code else shape,
            prepared.dtype,
            self.pool.row(train.block),
            "whole" if any_batch_size else prepared.batch_size,
            prepared.arguments.validation_batch_size,
            prepared.arguments.shuffle,
            None if is_rowwise else (len(train.rows), validation and len(validation.rows)),
        )

    def _row_subsets(
        self, fitting: Fitting, block: int, n_passed: int, columns: tuple[int, ...]
    ) -> tuple[RowSubset, RowSubset | None]:
        """The training rows in the block of all rows that were passed, and the rows to validate on."""
        train = RowSubset(block, _row_positions(fitting.rows, n_passed), fitting.rows.sample_weight)
        held_out = fitting.validation
        if held_out is None:
            return train, None
        if held_out.positions is None:
            other = self.pool.add(held_out.X, held_out.y, columns)
            return train, RowSubset(other, _all_positions(self.pool.n_rows(other)), held_out.sample_weight)
        return train, RowSubset(block, _row_positions(held_out, n_passed), held_out.sample_weight)

    def _shape(self, model: Any, rows: Rows) -> tuple[Hashable, bool, Mode, tuple[int, ...]]:
        """The graph shape, or the model if it has none; whether it computes by row; its mode and columns."""
        if model not in self._properties:
            shape = graph_shape(model)
            properties = self._by_shape.get(shape)
            if properties is None:
                check_compiled(model, rows.X, rows.y)
                properties = is_rowwise(model), mode_of(model, rows.X)
            if shape is not None:
                self._by_shape[shape] = properties
            columns = () if shape is None else columns_of(model)
            self._properties[model] = shape, *properties, columns
        shape, is_by_row, mode, columns = self._properties[model]
        return shape or model, is_by_row, mode, columns


def _why_not_suspended(estimator: Any) -> str | None:
    """Why the fit of an estimator cannot be suspended before its training; None if it can."""
    inner = innermost(estimator)
    if not isinstance(inner, BaseKerasEstimator):
        return f"{type(inner).__name__} is neither an estimator of kerashp nor a pipeline that ends in one"
    estimators = [
        part
        for name, part in estimator.get_params().items()
        if isinstance(part, BaseKerasEstimator) and "warm_start_from" not in name.split("__")
    ]
    if any(part is not inner for part in estimators):
        return "it contains more than one Keras estimator"
    return None


def _why_not_shared(fitting: Fitting) -> str | None:
    """Why a fit cannot be a member of a population; None if it can."""
    arguments, callbacks = fitting.arguments, fitting.arguments.callbacks
    unsupported = [c for c in callbacks if not _is_shared(c)]
    if unsupported:
        return f"the callback {type(unsupported[0]).__name__} cannot be shared by a population"
    if sum(isinstance(callback, _STOPPING) for callback in callbacks) > 1:
        return "it has more than one EarlyStopping callback"
    if sum(map(is_only_a_schedule, callbacks)) > 1:
        return "more than one callback sets the learning rate"
    for name, value in _SHARED_ARGUMENTS.items():
        if getattr(arguments, name) != value:
            return f"{name}={getattr(arguments, name)!r} cannot be shared by a population"
    if not fitting.state.architecture.trainable_variables:
        return "its model has no weights to train"
    return None


def _is_shared(callback: Any) -> bool:
    """Whether a population has the effect of a callback itself."""
    sets_numbers = is_only_a_schedule(callback) or is_only_a_regularization(callback)
    return sets_numbers or type(callback) in _SHARED_CALLBACKS


def _row_positions(rows: Rows, n_passed: int) -> np.ndarray:
    """The positions of rows among those that were passed."""
    return _all_positions(n_passed) if rows.positions is None else rows.positions.astype(np.int32)


@lru_cache(maxsize=16)
def _all_positions(n_rows: int) -> np.ndarray:
    """The array is shared by all fits of so many rows."""
    return np.arange(n_rows, dtype=np.int32)
