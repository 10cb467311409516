"""What a training's curves, gradients, weights and data say, and what to do next."""

from kerashp import _loading  # noqa: F401  # before Keras
from kerashp.diagnostics._distributions.comparison import (
    DistributionComparison,
    FeatureComparison,
    compare_distributions,
)
from kerashp.diagnostics._gradients.check import check_gradients
from kerashp.diagnostics._gradients.result import GradientCheck
from kerashp.diagnostics._initialization.check import InitializationCheck, check_initialization
from kerashp.diagnostics._learning_curves.diagnosis import Diagnosis, diagnose
from kerashp.diagnostics._learning_curves.findings import Finding
from kerashp.diagnostics._learning_rate.finder import LearningRates, find_learning_rate
from kerashp.models import transfer, unfreeze

__all__ = [
    "Diagnosis",
    "DistributionComparison",
    "FeatureComparison",
    "Finding",
    "GradientCheck",
    "InitializationCheck",
    "LearningRates",
    "check_gradients",
    "check_initialization",
    "compare_distributions",
    "diagnose",
    "find_learning_rate",
    "transfer",
    "unfreeze",
]
