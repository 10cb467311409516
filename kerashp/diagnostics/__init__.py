"""What a training's curves, gradients, weights and data say, and what to do next."""

from kerashp.diagnostics._diagnose import Diagnosis, diagnose
from kerashp.diagnostics._distributions import (
    DistributionComparison,
    FeatureComparison,
    compare_distributions,
)
from kerashp.diagnostics._findings import Finding
from kerashp.diagnostics._gradient_result import GradientCheck
from kerashp.diagnostics._gradients import check_gradients
from kerashp.diagnostics._initialization import InitializationCheck, check_initialization
from kerashp.diagnostics._learning_rate import LearningRates, find_learning_rate
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
