"""Training of Keras models, by `fit` or in a `Population`: an epoch or more in one compiled call."""

from kerashp import _loading  # noqa: F401  # before Keras
from kerashp._archives import SecurityWarning
from kerashp._statistics import InputStatistics, QuantileBins, RobustStatistics, Statistics, set_statistics
from kerashp.training._costs import Costs, measured, n_uses
from kerashp.training._engine.blocks import block_size, n_cores
from kerashp.training._engine.outputs import Predictor, predicting_shape
from kerashp.training._engine.preparation import Preparation, preparation_so_far
from kerashp.training._engine.program_cache import clear_cache, program_cache_description
from kerashp.training._fit import FallbackWarning, fit
from kerashp.training._keras.learning_rates import LearningRateCallback, is_only_a_schedule
from kerashp.training._keras.modes import Mode, mode_of
from kerashp.training._keras.obstacles import obstacle
from kerashp.training._keras.rowwise import is_rowwise
from kerashp.training._members.member import Member, Paused, Trained
from kerashp.training._members.room import Room, deepened, dense_of, last_hidden_weights, units_of
from kerashp.training._members.variant import Variant
from kerashp.training._population import Population
from kerashp.training._runtime.backend import backend, supported
from kerashp.training._runtime.devices import Devices, device_memory, n_devices
from kerashp.training._runtime.fallbacks import one_warning_a_cause
from kerashp.training._runtime.forks import check_fork
from kerashp.training._runtime.isolation import (
    isolated,
    without_lambda_warnings,
    without_retracing_warnings,
    without_warnings,
)
from kerashp.training._stacking.columns import columns_of
from kerashp.training._stacking.template import graph_shape, roomier, weight_shapes

if supported():
    backend()  # before the process's first operation, at which TensorFlow reads the flags that it sets

__all__ = [
    "Costs",
    "Devices",
    "FallbackWarning",
    "InputStatistics",
    "LearningRateCallback",
    "Member",
    "Mode",
    "Paused",
    "Population",
    "Predictor",
    "Preparation",
    "QuantileBins",
    "RobustStatistics",
    "Room",
    "SecurityWarning",
    "Statistics",
    "Trained",
    "Variant",
    "block_size",
    "check_fork",
    "clear_cache",
    "columns_of",
    "deepened",
    "dense_of",
    "device_memory",
    "fit",
    "graph_shape",
    "is_only_a_schedule",
    "is_rowwise",
    "isolated",
    "last_hidden_weights",
    "measured",
    "mode_of",
    "n_cores",
    "n_devices",
    "n_uses",
    "obstacle",
    "one_warning_a_cause",
    "predicting_shape",
    "preparation_so_far",
    "program_cache_description",
    "roomier",
    "set_statistics",
    "units_of",
    "weight_shapes",
    "without_lambda_warnings",
    "without_retracing_warnings",
    "without_warnings",
]
