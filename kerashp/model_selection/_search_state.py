"""The state of a search while its `fit` runs."""

from dataclasses import dataclass, field
from typing import Any

from kerashp.estimators._training.handover import Fitting
from kerashp.model_selection._fits.deadline import Deadline
from kerashp.model_selection._fits.heldout_predictions import SplitPredictions
from kerashp.model_selection._fits.result import Scores
from kerashp.model_selection._fits.task import Resource
from kerashp.model_selection._ranking import Comparison
from kerashp.model_selection._running.best_fit import fit_by_program_of
from kerashp.model_selection._running.evaluation import Evaluation


@dataclass
class RunningSearch:
    """What belongs to one call of a search's `fit`.

    Attributes
    ----------
    evaluation : Evaluation
    deadline : Deadline
    resource : Resource or None
        Candidates that differ in it alone continue from each other's weights.
    search_id : str
        The same where the search continues from its journal.
    results : dict or None
        `cv_results_` of the candidates so far; None before the first.
    predictions : dict from int to list of (rows, predictions)
        For held-out rows, by candidate.
    estimators : dict from int to list of estimator
        Those of the splits, by candidate.
    comparisons : list of Comparison
    unconverged : list of str
        The reasons, one for each fit that did not converge.
    n_fits : int
    routed_params : Bunch
        The parameters of `fit`, as they are routed to estimator, splitter and scorer.
    example_scores : float, dict from str to float or None
        The scores of some fit that did not fail.
    is_refitting : bool
        Whether all candidates have ended.
    """

    evaluation: Evaluation
    deadline: Deadline
    resource: Resource | None
    search_id: str
    results: dict[str, Any] | None = None
    predictions: dict[int, SplitPredictions] = field(default_factory=dict)
    estimators: dict[int, list[Any]] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    unconverged: list[str] = field(default_factory=list)
    n_fits: int = 0
    routed_params: Any = None
    example_scores: Scores | None = None
    is_refitting: bool = False

    def train_best(self, fitting: Fitting) -> dict[str, list[float]] | None:
        """Train the best candidate's network by a program of the search; see `training_by`."""
        if not self.is_refitting:
            return None
        return fit_by_program_of(self.evaluation.trained, fitting)
