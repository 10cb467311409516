"""What a training's curves, gradients, weights and data say, and what to do next."""

from kerashp.diagnostics._diagnose import Diagnosis, diagnose
from kerashp.diagnostics._distributions import (
    DistributionComparison,
    FeatureComparison,
    compare_distributions,
)
from kerashp.diagnostics._findings import Finding

__all__ = [
    "Diagnosis",
    "DistributionComparison",
    "FeatureComparison",
    "Finding",
    "compare_distributions",
    "diagnose",
]
