"""scikit-learn's searches, in which all candidates and folds train together."""

from kerashp import _loading  # noqa: F401  # before Keras
from kerashp.model_selection._capacity import Growth, GrowthStep, grow_capacity
from kerashp.model_selection._coarse_to_fine import CoarseToFineSearchCV, Round
from kerashp.model_selection._ensembles.estimators import KerasEnsembleClassifier, KerasEnsembleRegressor
from kerashp.model_selection._halving import HalvingGridSearchCV, HalvingRandomSearchCV
from kerashp.model_selection._optuna_search import OptunaSearchCV
from kerashp.model_selection._oracle import OracleSearchCV
from kerashp.model_selection._planning.plan import Alone, Group, Plan
from kerashp.model_selection._search import GridSearchCV, RandomizedSearchCV
from kerashp.model_selection._storage.journal import JournalError

__all__ = [
    "Alone",
    "CoarseToFineSearchCV",
    "GridSearchCV",
    "Group",
    "Growth",
    "GrowthStep",
    "HalvingGridSearchCV",
    "HalvingRandomSearchCV",
    "JournalError",
    "KerasEnsembleClassifier",
    "KerasEnsembleRegressor",
    "OptunaSearchCV",
    "OracleSearchCV",
    "Plan",
    "RandomizedSearchCV",
    "Round",
    "grow_capacity",
]
