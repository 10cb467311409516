"""Fits that have stopped where their training would begin: what trains, on what, and how."""

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from inspect import signature
from typing import Any

import keras
import numpy as np

from kerashp.callbacks import EarlyStopping
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._data.models import check_compiled
from kerashp.estimators._data.rows import Rows
from kerashp.estimators._nesting import innermost
from kerashp.estimators._training.arguments import FitArguments
from kerashp.estimators._training.handover import EstimatorState, Fitting, Suspended, suspending
from kerashp.model_selection._fits.deadline import Deadline
from kerashp.model_selection._fits.task import Task
from kerashp.model_selection._planning.data_pool import DataPool, RowSubset
from kerashp.model_selection._planning.preprocessing_cache import Memory, remember
from kerashp.training import (
    Mode,
    Statistics,
    fit,
    graph_shape,
    is_only_a_schedule,
    is_rowwise,
    isolated,
    mode_of,
    obstacle,
    units_of,
)
from kerashp.training._members.convergence import Convergence

_STOPPING = keras.callbacks.EarlyStopping
# A population stops where these do.
_ALIKE = (_STOPPING, EarlyStopping, Convergence, keras.callbacks.TerminateOnNaN)
_DEFAULTS = {p.name: p.default for p in signature(fit).parameters.values() if p.default is not p.empty}
_PLAIN = {"initial_epoch": 0, "validation_freq": 1}  # with other values a fit trains by itself
_FAILED = "its fit fails before the training"


@dataclass(frozen=True)
class PreparedFit:
    """A fit that can train together with others."""

    task: Task
    state: EstimatorState
    arguments: FitArguments
    seed: int
    dtype: str | None
    own_code: bool  # is in the model: it can train with those that the same call made for other splits
    train: RowSubset
    validation: RowSubset | None
    kind: Hashable  # of its program, besides its room
    key: Hashable  # fits of one key can be members of one population
    mode: Mode  # in which its program is compiled
    seconds: float  # that it took until here
    statistics: Statistics | None  # of the inputs, where its model standardises them

    @property
    def model(self) -> Any:
        return self.state.model

    @property
    def portions(self) -> list[RowSubset]:
        """All rows that it needs."""
        return [portion for portion in (self.train, self.validation) if portion is not None]

    @property
    def stopping(self) -> Any:
        """The EarlyStopping, if there is one."""
        return next((c for c in self.arguments.callbacks if isinstance(c, _STOPPING)), None)

    @property
    def monitor(self) -> str | None:
        """What its EarlyStopping monitors, where that may be missing: it fails those that have it."""
        return None if self.stopping is None or self.stopping.monitor == "loss" else self.stopping.monitor

    @property
    def schedule(self) -> Any:
        """The callback that sets the learning rate of every step, if there is one."""
        return next(filter(is_only_a_schedule, self.arguments.callbacks), None)

    @property
    def batch_size(self) -> int:
        return self.arguments.batch_size or _BATCH_SIZE

    @property
    def n_steps(self) -> int:
        """Steps of an epoch."""
        return -(-len(self.train.rows) // self.batch_size)

    @property
    def n_epochs(self) -> int:
        """How many epochs it trains at the most: those before a pause are done."""
        before = 0 if self.task.paused is None else self.task.paused.n_epochs
        return max(0, int(self.arguments.epochs) - before)

    @cached_property
    def units(self) -> tuple[int, ...]:
        """Of its model's Dense layers."""
        return units_of(self.model)

    @cached_property
    def shapes(self) -> np.ndarray:
        """The sizes of the trained weights' axes, 1 for one that is not there: `(n_weights, most axes)`."""
        shapes = [tuple(weight.shape) for weight in self.model.trainable_variables]
        width = max(map(len, shapes))
        return np.array([shape + (1,) * (width - len(shape)) for shape in shapes])


_BATCH_SIZE = 32  # Keras' own


class FitPreparer:
    """Runs fits up to their training, each distinct preprocessing once.

    Parameters
    ----------
    seed : int or None
        Of preprocessing that has none; None lets it draw its own.
    samples : bool, default=False
        Whether to keep the fits of one candidate.

    Attributes
    ----------
    blocks : DataPool
        The rows of all fits.
    errors : dict from (candidate, split) to Exception
        Of fits that failed before the training.
    sample : list of (Task, Fitting)
        The fits of the first candidate of which none failed, or of the last; whether or not they can train
        with others.
    """

    def __init__(self, seed: int | None, samples: bool = False) -> None:
        self.blocks = DataPool()
        self.errors: dict[tuple[int, int], Exception] = {}
        self.sample: list[tuple[Task, Fitting]] = []
        self._samples = samples
        self._memory = Memory(seed)
        self._candidate = -1  # the one at hand
        self._models: dict[Hashable, Any] = {}  # its models
        self._keys: dict[Any, Hashable] = {}  # the groups that they are in
        self._known: tuple[Any, Any] = (None, None)  # the last model, and what `_shape` says of it
        self._of_shapes: dict[Hashable, tuple[bool, Mode]] = {}

    def prepared(self, tasks: Sequence[Task], limit: Deadline) -> list[PreparedFit | str]:
        """What trains together, or why it does not.

        Raises
        ------
        Stopped
        """
        answers = []
        for task in tasks:
            limit.check()
            answers.append(self._prepared(task))
        return answers

    def _prepared(self, task: Task) -> PreparedFit | str:
        began = time.perf_counter()
        remember(task.estimator, self._memory)
        if task.candidate != self._candidate:
            self._candidate, self._models, self._keys = task.candidate, {}, {}
        estimator = task.candidates_estimator()  # raises where it does not know a name
        reason = _not_known(estimator)
        if reason:
            return reason
        try:
            ready = self._suspended(task, estimator, self._models)
            if isinstance(ready, PreparedFit) and self._keys.setdefault(ready.model, ready.key) != ready.key:
                # Its model is that of fits in another group, which may train at the same time.
                ready = self._suspended(task, task.candidates_estimator(), {})
        except Exception as error:  # it will fail again where scikit-learn sees it
            self.errors[task.place] = error.with_traceback(None)
            return _FAILED
        return ready if isinstance(ready, str) else replace(ready, seconds=time.perf_counter() - began)

    def _suspended(self, task: Task, estimator: Any, models: dict[Hashable, Any]) -> PreparedFit | str:
        try:
            with suspending(models):
                task.fit(estimator)
        except Suspended as suspended:
            self._keep_sample(task, suspended.fitting)
            return self._ready(task, suspended)
        return "it trains no Keras model"

    def _keep_sample(self, task: Task, fitting: Fitting) -> None:
        places = [own.place for own, _ in self.sample]
        if not self._samples or len(places) == task.n_splits or task.place in places:
            return
        if places and places[0][0] != task.candidate:
            self.sample.clear()
        self.sample.append((task, fitting))

    def _ready(self, task: Task, suspended: Suspended) -> PreparedFit | str:
        fitting, passed = suspended.fitting, suspended.passed
        model, rows = fitting.state.model, fitting.rows
        data = {"x": rows.X, "y": rows.y, "sample_weight": rows.sample_weight}
        call = {**_DEFAULTS, **data, **fitting.arguments.to_mapping()}
        reason = obstacle(model, call) or _not_plain(fitting)
        if reason:
            return reason
        with isolated(dtype=fitting.dtype):
            block = self.blocks.add(passed.X, fitting.state.target_encoder.transform(passed.y))
            train, validation = self._portions(fitting, block, len(passed.y))
            if validation is not None and self.blocks.row(validation.block) != self.blocks.row(block):
                return "its validation_data are of other types than the rows to train on"
            shape, rowwise, mode = self._shape(model, rows)
        ready = PreparedFit(
            task=task,
            state=fitting.state,
            arguments=replace(fitting.arguments, validation_data=None),
            seed=fitting.seed,
            dtype=fitting.dtype,
            own_code=shape is model,
            train=train,
            validation=validation,
            kind=None,
            key=None,
            mode=mode,
            seconds=0.0,
            statistics=fitting.statistics,
        )
        whole = rowwise and ready.n_steps == 1  # then any larger batch size is the same
        kind = (
            (task.candidate, ready.shapes.tobytes()) if ready.own_code else shape,
            ready.dtype,
            self.blocks.row(block),
            "whole" if whole else ready.batch_size,
            ready.arguments.validation_batch_size,
            ready.arguments.shuffle,
            None if rowwise else (len(train.rows), validation and len(validation.rows)),
        )
        return replace(ready, kind=kind, key=(kind, ready.monitor))

    def _portions(self, fitting: Fitting, block: int, n_passed: int) -> tuple[RowSubset, RowSubset | None]:
        train = RowSubset(block, _places(fitting.rows, n_passed), fitting.rows.sample_weight)
        held_out = fitting.validation
        if held_out is not None and held_out.at is None:
            own = self.blocks.add(held_out.X, held_out.y)
            return train, RowSubset(own, _all(self.blocks.n_rows(own)), held_out.sample_weight)
        if held_out is not None:
            return train, RowSubset(block, _places(held_out, n_passed), held_out.sample_weight)
        return train, None

    def _shape(self, model: Any, rows: Rows) -> tuple[Hashable, bool, Mode]:
        """The graph shape, or what stands for it where it has none; whether its rows are apart; its mode."""
        if model is not self._known[0]:
            shape = graph_shape(model)
            known = self._of_shapes.get(shape)
            if known is None:
                check_compiled(model, rows.X, rows.y)
                known = is_rowwise(model), mode_of(model, rows.X)
            if shape is not None:  # otherwise the model would be kept
                self._of_shapes[shape] = known
            self._known = model, (shape or model, *known)
        return self._known[1]


def _not_known(estimator: Any) -> str | None:
    """Why an estimator's fit is not taken apart."""
    inner = innermost(estimator)
    if not isinstance(inner, BaseKerasEstimator):
        return f"{type(inner).__name__} is neither an estimator of kerashp's nor a pipeline to one"
    others = [
        part
        for name, part in estimator.get_params().items()
        if isinstance(part, BaseKerasEstimator) and "warm_start_from" not in name.split("__")
    ]
    if any(part is not inner for part in others):
        return "there is more than one Keras estimator in it"
    return None


def _not_plain(fitting: Fitting) -> str | None:
    arguments = fitting.arguments
    other = [c for c in arguments.callbacks if type(c) not in _ALIKE and not is_only_a_schedule(c)]
    if other:
        return f"{type(other[0]).__name__} is to be called on its own"
    if sum(isinstance(c, _STOPPING) for c in arguments.callbacks) > 1:
        return "there is more than one EarlyStopping"
    if sum(map(is_only_a_schedule, arguments.callbacks)) > 1:
        return "more than one callback sets the learning rate"
    changed = [name for name, plain in _PLAIN.items() if getattr(arguments, name) != plain]
    if changed:
        return f"{changed[0]}={getattr(arguments, changed[0])!r} is its own"
    if not fitting.state.model.trainable_variables:
        return "its model has no weights to train"
    return None


def _places(rows: Rows, n_passed: int) -> np.ndarray:
    return _all(n_passed) if rows.at is None else rows.at.astype(np.int32)


@lru_cache(maxsize=16)
def _all(n_rows: int) -> np.ndarray:
    """Shared by all fits of so many rows."""
    return np.arange(n_rows, dtype=np.int32)
