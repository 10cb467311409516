"""The fit of the best candidate on all rows, by a program that the search has compiled."""

from collections.abc import Sequence

from kerashp.estimators._training.handover import Fitting
from kerashp.estimators._training.pending import model_of
from kerashp.model_selection._fits.task import Task
from kerashp.model_selection._planning.grouping import program_for
from kerashp.model_selection._planning.plan import Group
from kerashp.model_selection._planning.prepare import FitPreparer, PreparedFit
from kerashp.model_selection._running.stacked import StackedTraining
from kerashp.training import measured, n_uses, without_retracing_warnings

History = dict[str, list[float]]
_NO_TASK = Task(
    lambda *_, **__: {},
    (None, None, None),
    {"candidate_progress": (0, 1), "split_progress": (0, 1), "parameters": {}},
)


def fit_by_program_of(groups: Sequence[Group], fitting: Fitting) -> History | None:
    """Train the network of a fit by the program of one of these groups, where that saves time.

    Parameters
    ----------
    groups : list of Group
        They have trained in this process.
    fitting : Fitting

    Returns
    -------
    dict from str to list of float, or None
        The history; None: the fit has to train by itself.
    """
    if not groups or fitting.arguments.verbose:
        return None
    preparer = FitPreparer(seed=None)
    fit = preparer.prepared_fit(_NO_TASK, fitting)
    if not isinstance(fit, PreparedFit):
        return None
    group = program_for(fit, groups, measured().shared_by(n_uses()))
    if group is None:
        return None
    with without_retracing_warnings():
        training = StackedTraining([fit], preparer.pool, group.room)
        resumed = training.train(lambda _: None, None, float("inf")).resumed(0)
    model_of(resumed.state.network)  # the network of the fit, which gets the weights
    return resumed.history
