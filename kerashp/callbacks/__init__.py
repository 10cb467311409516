"""Keras callbacks that guide a training, for `Model.fit`, `kerashp.fit` and the estimators alike.

Those that move the learning rate start from whatever rate the optimizer has, and are exact at every step;
see `LearningRateCallback` for how to write another.
"""

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
