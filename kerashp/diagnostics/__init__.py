"""What a training's curves, gradients, weights and data say, and what to do next."""

from kerashp.diagnostics._diagnose import Diagnosis, diagnose
from kerashp.diagnostics._findings import Finding

__all__ = [
    "Diagnosis",
    "Finding",
    "diagnose",
]
