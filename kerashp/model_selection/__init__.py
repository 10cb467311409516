"""scikit-learn's searches, in which all candidates and folds train together."""

from kerashp.model_selection._plan import Alone, Group, Plan
from kerashp.model_selection._search import GridSearchCV, RandomizedSearchCV

__all__ = ["Alone", "GridSearchCV", "Group", "Plan", "RandomizedSearchCV"]
