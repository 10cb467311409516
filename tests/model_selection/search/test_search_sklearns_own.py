"""scikit-learn's own tests of its searches, with ours in their place."""

import pytest
from sklearn.model_selection.tests import test_search as theirs

from kerashp.model_selection import GridSearchCV, RandomizedSearchCV

theirs.GridSearchCV = GridSearchCV
theirs.RandomizedSearchCV = RandomizedSearchCV

OTHERWISE = {
    "test_unsupported_sample_weight_scorer",  # all scores are NaN: an error here
    "test_search_cv_results_none_param",  # likewise
    "test_custom_run_search",  # wants an equal search of the base class, which has not our attributes
    "test_array_api_search_cv_classifier",  # wants libraries that are not installed
}

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
globals().update(
    {name: test for name, test in vars(theirs).items() if name.startswith("test_") and name not in OTHERWISE}
)


def test_they_are_many() -> None:
    assert sum(name.startswith("test_") for name in globals()) > 70
