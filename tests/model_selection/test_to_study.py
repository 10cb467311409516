"""Every search as an Optuna study."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import optuna
import pytest
from keras_tuner import HyperParameters
from optuna.distributions import CategoricalDistribution, FloatDistribution
from scipy.stats import loguniform
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerashp import KerasClassifier, KerasMLPClassifier, build_model
from kerashp.model_selection import (
    CoarseToFineSearchCV,
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    OptunaSearchCV,
    OracleSearchCV,
    RandomizedSearchCV,
)

MLP = KerasMLPClassifier(1, 4, epochs=4, batch_size=64, tol=None, random_state=0)
RATES = {"learning_rate": loguniform(1e-3, 1e-1)}
LISTED = {"learning_rate": [1e-3, 1e-2, 1e-1]}
OPTIONS: dict[str, Any] = {"cv": 2, "refit": False}
SEARCHES: dict[str, Callable[[], Any]] = {
    "grid": lambda: GridSearchCV(MLP, LISTED, **OPTIONS),
    "random": lambda: RandomizedSearchCV(MLP, RATES, n_iter=3, random_state=0, **OPTIONS),
    "coarse to fine": lambda: CoarseToFineSearchCV(
        MLP, RATES, n_iter=2, n_rounds=2, random_state=0, **OPTIONS
    ),
    "bayesian": lambda: OracleSearchCV(MLP, RATES, n_trials=3, random_state=0, **OPTIONS),
    "optuna": lambda: OptunaSearchCV(MLP, RATES, n_trials=3, random_state=0, **OPTIONS),
}
PRUNED: dict[str, Callable[[], Any]] = {
    "halving": lambda: HalvingRandomSearchCV(
        MLP, RATES, n_candidates=4, min_resources=2, factor=2, random_state=0, **OPTIONS
    ),
    "hyperband": lambda: OracleSearchCV(
        MLP, RATES, oracle="hyperband", n_trials=10, batch=5, random_state=0, **OPTIONS
    ),
    "pruner": lambda: OptunaSearchCV(
        MLP,
        RATES,
        pruner=optuna.pruners.SuccessiveHalvingPruner(2, 2),
        n_trials=4,
        random_state=0,
        **OPTIONS,
    ),
}

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_is_a_study(iris, name: str) -> None:
    search = SEARCHES[name]().fit(*iris)
    results, study = search.cv_results_, search.to_study()
    assert [trial.value for trial in study.trials] == list(results["mean_test_score"])
    assert {trial.state.name for trial in study.trials} == {"COMPLETE"}
    for row, trial in enumerate(study.trials):
        assert trial.params == results["params"][row]
        assert trial.user_attrs["candidate"] == row
        splits = [results[f"split{split}_test_score"][row] for split in range(2)]
        assert trial.user_attrs["split_test_score"] == splits
        curves = [-np.array(search.histories_[row][split]["loss"]) for split in range(2)]
        assert list(trial.intermediate_values) == [1, 2, 3, 4]
        np.testing.assert_allclose(list(trial.intermediate_values.values()), np.mean(curves, axis=0))
        assert trial.duration == timedelta(seconds=trial.user_attrs["seconds"])
    listed = CategoricalDistribution(tuple(LISTED["learning_rate"]))
    expected = listed if name == "grid" else FloatDistribution(1e-3, 1e-1, log=True)
    assert study.trials[0].distributions == {"learning_rate": expected}
    assert study.metric_names == ["accuracy"]
    assert study.user_attrs["search"] == f"{type(search).__name__} of KerasMLPClassifier"
    assert study.user_attrs["search_id"] == search.search_id_
    assert study.user_attrs["intermediate_values"] == "-loss"


@pytest.mark.filterwarnings("ignore:OracleSearchCV. hyperband ended after")
@pytest.mark.parametrize("name", PRUNED)
def test_candidates_that_got_fewer_epochs_are_pruned_trials(iris, name: str) -> None:
    search = PRUNED[name]().fit(*iris)
    results, study = search.cv_results_, search.to_study()
    n_epochs = np.array(results["n_resources"])
    assert 2 in n_epochs
    assert len(study.trials) == len({params["learning_rate"] for params in results["params"]})
    for trial in study.trials:
        row = trial.user_attrs["candidate"]
        assert trial.value == results["mean_test_score"][row]
        assert trial.params == {"learning_rate": results["params"][row]["learning_rate"]}
        assert trial.state.name == ("COMPLETE" if n_epochs[row] == 4 else "PRUNED")
        assert len(trial.intermediate_values) == n_epochs[row]
    assert {trial.state.name for trial in study.trials} == {"COMPLETE", "PRUNED"}


def test_halving_of_samples(iris) -> None:
    search = HalvingGridSearchCV(
        RidgeClassifier(), {"alpha": [0.1, 1.0, 10.0]}, resource="n_samples", factor=3, cv=2, refit=False
    )
    study = search.fit(*iris).to_study()
    assert sorted(trial.state.name for trial in study.trials) == ["COMPLETE", "PRUNED", "PRUNED"]
    assert "intermediate_values" not in study.user_attrs


def test_the_curve_of_the_score_is_preferred(iris) -> None:
    def model(learning_rate: float = 0.01) -> Any:
        return build_model(1, 4, learning_rate, 4, n_outputs=3, task="multiclass", metrics=["accuracy"])

    estimator = KerasClassifier(model, epochs=3, batch_size=64, early_stopping=True, random_state=0)
    search = GridSearchCV(estimator, {"learning_rate": [0.01, 0.1]}, **OPTIONS).fit(*iris)
    study = search.to_study()
    assert study.user_attrs["intermediate_values"] == "val_accuracy"
    curves = [history["val_accuracy"] for history in search.histories_[0]]
    np.testing.assert_allclose(list(study.trials[0].intermediate_values.values()), np.mean(curves, axis=0))
    search.set_params(scoring="neg_log_loss").fit(*iris)
    assert search.to_study().user_attrs["intermediate_values"] == "-val_loss"


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_failed_candidate_is_a_failed_trial(iris) -> None:
    search = GridSearchCV(MLP, {"learning_rate": [0.01, -1.0]}, **OPTIONS)
    with pytest.warns(FitFailedWarning):
        search.fit(*iris)
    fine, failed = search.to_study().trials
    assert (fine.state.name, failed.state.name) == ("COMPLETE", "FAIL")
    assert failed.value is None
    assert "learning_rate" in failed.user_attrs["error"]
    assert failed.params == {"learning_rate": -1.0}


def test_several_scores(iris) -> None:
    scoring = ["accuracy", "neg_log_loss"]
    grid = {"kerasmlpclassifier__learning_rate": [0.01, 0.1]}
    search = GridSearchCV(make_pipeline(StandardScaler(), MLP), grid, scoring=scoring, cv=2, refit=False)
    study = search.fit(*iris).to_study()
    assert study.metric_names == scoring
    means = [search.cv_results_[f"mean_test_{name}"][1] for name in scoring]
    assert study.trials[1].values == means
    assert set(study.trials[1].user_attrs) >= {"split_test_accuracy", "split_test_neg_log_loss"}
    search.refit = "accuracy"
    one = search.to_study()
    assert one.metric_names == ["accuracy"]
    assert one.trials[1].value == means[0]
    assert len(one.trials[1].intermediate_values) == 4


def test_hyperparameters_of_keras_tuner(iris) -> None:
    hp = HyperParameters()
    hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    hp.Choice("n_neurons", [3, 4])
    search = RandomizedSearchCV(MLP, hp, n_iter=2, random_state=0, **OPTIONS).fit(*iris)
    assert search.to_study().trials[0].distributions["learning_rate"] == FloatDistribution(
        1e-3, 1e-1, log=True
    )


@pytest.fixture(scope="module")
def study(iris) -> optuna.Study:
    space = {
        "learning_rate": loguniform(1e-3, 1e-1),
        "n_neurons": range(2, 6),
        "activation": ["relu", "tanh"],
    }
    return RandomizedSearchCV(MLP, space, n_iter=8, random_state=0, **OPTIONS).fit(*iris).to_study()


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optunas_plots_and_importances_work(study: optuna.Study) -> None:
    matplotlib.use("agg")
    import optuna.visualization.matplotlib as plots
    from matplotlib import pyplot

    names = [
        "intermediate_values",
        "optimization_history",
        "param_importances",
        "slice",
        "parallel_coordinate",
    ]
    with pyplot.rc_context():  # Optuna sets a style
        for name in [*names, "contour", "rank", "edf", "timeline"]:
            axes = getattr(plots, f"plot_{name}")(study)
            assert any(each.has_data() for each in np.ravel(axes)), name
        lines = plots.plot_intermediate_values(study).get_lines()
        assert len(lines) == 8
        assert {len(line.get_xdata()) for line in lines} == {4}
    pyplot.close("all")
    importances = optuna.importance.get_param_importances(study)
    assert set(importances) == {"learning_rate", "n_neurons", "activation"}
    assert sum(importances.values()) == pytest.approx(1.0)
    assert len(study.trials_dataframe()) == 8


def test_a_search_of_optuna_begins_where_another_search_ended(iris, study: optuna.Study) -> None:
    space = {
        "learning_rate": loguniform(1e-3, 1e-1),
        "n_neurons": range(2, 6),
        "activation": ["relu", "tanh"],
    }
    search = OptunaSearchCV(MLP, space, study=study, n_trials=10, **OPTIONS).fit(*iris)
    assert len(search.study_.trials) == 10
    assert len(search.cv_results_["params"]) == 1 + 2
    assert search.cv_results_["mean_test_score"][0] == pytest.approx(
        max(trial.value for trial in search.study_.trials[:8])
    )


def test_a_study_in_a_storage(iris, tmp_path: Path) -> None:
    search = GridSearchCV(MLP, LISTED, **OPTIONS).fit(*iris)
    storage = f"sqlite:///{tmp_path}/study.db"
    search.to_study(storage, "grid")
    loaded = optuna.load_study(storage=storage, study_name="grid")
    assert [trial.value for trial in loaded.trials] == list(search.cv_results_["mean_test_score"])
    with pytest.raises(optuna.exceptions.DuplicatedStudyError, match="already exists"):
        search.to_study(storage, "grid")
    with pytest.raises(
        ValueError, match=r"^GridSearchCV\.to_study: storage must be the URL .* got 'study\.db'"
    ):
        search.to_study("study.db")
    with pytest.raises(NotFittedError, match="not fitted yet"):
        GridSearchCV(MLP, LISTED).to_study()
