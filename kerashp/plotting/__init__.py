"""Displays of searches, trainings and learning rates, in the style of scikit-learn.

A display computes a table and then draws it; only drawing needs matplotlib (`pip install "kerashp[plot]"`).
"""

from kerashp import _loading  # noqa: F401  # before Keras
from kerashp.plotting._learning_curves import LearningCurvesDisplay
from kerashp.plotting._parallel_coordinates import ParallelCoordinatesDisplay
from kerashp.plotting._schedules import ScheduleDisplay
from kerashp.plotting._search_history import SearchHistoryDisplay
from kerashp.plotting._slices import SliceDisplay

__all__ = [
    "LearningCurvesDisplay",
    "ParallelCoordinatesDisplay",
    "ScheduleDisplay",
    "SearchHistoryDisplay",
    "SliceDisplay",
]
