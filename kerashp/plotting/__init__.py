"""Displays that compute a table, then draw it: of searches, trainings and learning rates.

They need matplotlib (`pip install "kerashp[plot]"`) when something is drawn, not before.
"""

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
