"""Keras callbacks for learning rates, early stopping and checkpoints.

They work in `Model.fit`, `kerashp.fit` and the estimators.

The callbacks of learning rates start from the optimizer's rate and set it at every step; see
`LearningRateCallback` for how to write another.
"""

from kerashp import _loading  # noqa: F401  # before Keras
from kerashp.callbacks._checkpoint import ModelCheckpoint
from kerashp.callbacks._manifest import CheckpointError
from kerashp.callbacks._rates import CosineRestarts, LearningRateWarmup, StepDrop
from kerashp.callbacks._stopping import EarlyStopping
from kerashp.training import LearningRateCallback

__all__ = [
    "CheckpointError",
    "CosineRestarts",
    "EarlyStopping",
    "LearningRateCallback",
    "LearningRateWarmup",
    "ModelCheckpoint",
    "StepDrop",
]
