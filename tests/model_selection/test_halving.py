"""Successive halving: scikit-learn's iterations, in which survivors go on from where they were."""

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib
import keras
import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_classification, make_regression
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  (scikit-learn's searches need it)
from sklearn.model_selection import HalvingGridSearchCV as TheirGrid
from sklearn.model_selection import HalvingRandomSearchCV as TheirRandom
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.random_projection import GaussianRandomProjection

from kerashp import KerasMLPClassifier, KerasMLPRegressor, KerasRegressor
from kerashp.model_selection import HalvingGridSearchCV, HalvingRandomSearchCV, JournalError
from kerashp.model_selection._running.evaluation import Evaluation
from kerashp.model_selection._storage.records import Records
from kerashp.training import Costs, FallbackWarning

X, Y = make_regression(90, 4, random_state=0)
Y = Y / Y.std()
OF_TIME = ("mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time")


class Peak(BaseEstimator):
    """Scores best at rate=0.01, the better the more resources it has."""

    def __init__(self, rate: float = 1.0, resources: int = 1):
        self.rate = rate
        self.resources = resources

    def fit(self, X: Any, y: Any) -> "Peak":
        self.n_rows_ = len(X)
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.zeros(len(X))

    def score(self, X: Any, y: Any) -> float:
        return -abs(np.log10(self.rate) + 2) - 1 / self.resources - 1 / self.n_rows_


def same_results(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name in one.keys() - {"params", *OF_TIME}:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert list(one["params"]) == list(other["params"])


@pytest.mark.parametrize(
    "options",
    [
        {"resource": "n_samples"},
        {"resource": "n_samples", "factor": 2, "min_resources": "exhaust", "n_candidates": 10},
        {"resource": "resources", "max_resources": 30, "n_candidates": 12},
        {"resource": "resources", "max_resources": 9, "min_resources": 3, "n_candidates": 12}
        | {"aggressive_elimination": True},
        {"resource": "resources", "max_resources": 20, "n_candidates": 7, "factor": 1.5},
    ],
)
def test_iterations_are_scikit_learns(options: dict[str, Any]) -> None:
    arguments = [Peak(), {"rate": loguniform(1e-6, 1.0)}]
    expected = TheirRandom(*arguments, random_state=0, cv=3, **options).fit(X, Y)
    actual = HalvingRandomSearchCV(*arguments, random_state=0, cv=3, **options).fit(X, Y)
    same_results(actual.cv_results_, expected.cv_results_)
    for name in ("n_resources_", "n_candidates_", "n_iterations_", "n_required_iterations_", "best_index_"):
        assert getattr(actual, name) == getattr(expected, name)
    assert actual.best_score_ == expected.best_score_
    assert not hasattr(actual, "epochs_saved_")


@pytest.mark.slow
def test_ours_are_there_without_scikit_learns_experimental_import() -> None:
    code = "import sys; from kerashp.model_selection import HalvingGridSearchCV, HalvingRandomSearchCV; "
    code += "HalvingRandomSearchCV; sys.exit('sklearn.experimental.enable_halving_search_cv' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_grid_is_scikit_learns() -> None:
    arguments = [Peak(), {"rate": [1e-4, 1e-3, 1e-2, 1e-1, 1.0]}]
    options = {"resource": "resources", "max_resources": 16, "factor": 2, "cv": 3}
    actual = HalvingGridSearchCV(*arguments, **options).fit(X, Y)
    same_results(actual.cv_results_, TheirGrid(*arguments, **options).fit(X, Y).cv_results_)


def halving(estimator: Any, grid: dict[str, Any], **options: Any) -> HalvingGridSearchCV:
    arguments = {"factor": 2, "cv": KFold(3), "min_resources": 2, "return_train_score": False, "refit": False}
    return HalvingGridSearchCV(estimator, grid, **(arguments | options))


def whole_curves(search: HalvingGridSearchCV, X: Any, Y: Any, position: int, split: int) -> dict[str, Any]:
    """Of the candidate at a position, as one training without a pause."""
    train, _ = list(search.cv.split(X))[split]
    estimator = clone(search.estimator).set_params(**search.cv_results_["params"][position])
    fitted = estimator.fit(X[train], Y[train])
    inner = fitted.steps[-1][1] if hasattr(fitted, "steps") else fitted
    return getattr(inner, "regressor_", inner).history_


MLP = {"n_hidden": 1, "n_neurons": 6, "random_state": 0, "epochs": 8}


def test_survivors_train_as_if_they_had_never_been_paused() -> None:
    regressor = KerasMLPRegressor(
        **MLP,
        dropout=0.2,
        optimizer="adam",
        early_stopping=True,
        patience=3,
        schedule="cosine",
        warmup_epochs=1,
    )
    grid = {"learning_rate": [1e-3, 1e-2, 0.1], "n_neurons": [4, 6]}
    search = halving(regressor, grid).fit(X, Y)
    assert search.n_candidates_ == [6, 3, 2]
    assert search.n_resources_ == [2, 4, 8]
    results = search.cv_results_
    assert [params["epochs"] for params in results["params"]] == list(results["n_resources"])
    assert search.epochs_saved_ == 3 * 3 * 2 + sum(
        results[f"split{split}_epochs"][candidate] for split in range(3) for candidate in before_last(search)
    )
    for position in np.flatnonzero(results["iter"] == 2):
        for split in range(3):
            curves, whole = search.histories_[position][split], whole_curves(search, X, Y, position, split)
            assert curves is not None
            assert curves.keys() == whole.keys()
            for name, values in whole.items():
                np.testing.assert_allclose(curves[name], values, rtol=2e-4)


def before_last(search: HalvingGridSearchCV) -> list[int]:
    """The positions, one iteration before the last, of those that are in the last."""
    results = search.cv_results_
    own = [{**params, "epochs": 0} for params in results["params"]]
    last = [own[position] for position in np.flatnonzero(results["iter"] == 2)]
    return [position for position in np.flatnonzero(results["iter"] == 1) if own[position] in last]


def test_epochs_are_those_of_what_is_in_the_middle() -> None:
    classes = make_classification(90, 5, random_state=0)
    pipeline = make_pipeline(StandardScaler(), KerasMLPClassifier(**MLP))
    grid = {"kerasmlpclassifier__learning_rate": [1e-3, 1e-2, 0.1, 0.3]}
    search = halving(pipeline, grid, resource="epochs", refit=True).fit(*classes)
    assert search.n_resources_ == [2, 4, 8]
    assert search.best_params_["kerasmlpclassifier__epochs"] == 8
    assert len(search.best_estimator_[-1].history_["loss"]) == 8
    assert search.epochs_saved_ == 3 * (2 * 2 + 4)
    assert search.get_params()["resource"] == "epochs"
    assert search.get_params()["max_resources"] == "auto"
    target = TransformedTargetRegressor(make_pipeline(StandardScaler(), KerasMLPRegressor(**MLP)))
    path = "regressor__kerasmlpregressor__"
    search = halving(target, {f"{path}learning_rate": [1e-3, 1e-2]}, max_resources=4).fit(X, Y)
    assert search.cv_results_[f"param_{path}epochs"].tolist() == [2, 2, 4]
    assert search.epochs_saved_ == 6


def test_what_has_no_random_state_goes_on_with_the_rows_that_it_held_out() -> None:
    regressor = KerasMLPRegressor(**{**MLP, "random_state": None}, early_stopping=True)
    search = halving(regressor, {"learning_rate": [1e-3, 1e-2]}, max_resources=4).fit(X, Y)
    (survivor,) = np.flatnonzero(search.cv_results_["iter"] == 1)
    name = "learning_rate"
    rates = search.cv_results_[f"param_{name}"]
    (before,) = [position for position in (0, 1) if rates[position] == rates[survivor]]
    for split in range(3):
        assert (
            search.histories_[survivor][split]["val_loss"][:2] == search.histories_[before][split]["val_loss"]
        )
    assert len({tuple(own[0]["val_loss"]) for own in search.histories_[:2]}) == 2
    assert regressor.random_state is None


def build(learning_rate: float = 0.01) -> Any:
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(learning_rate), "mse")
    return model


def test_what_is_not_stacked_trains_anew() -> None:
    alone = keras.callbacks.CSVLogger("/dev/null")
    regressor = KerasRegressor(build, epochs=4, random_state=0, callbacks=[alone])
    with warnings.catch_warnings(action="ignore", category=FallbackWarning):
        search = halving(regressor, {"learning_rate": [1e-3, 1e-2]}).fit(X, Y)
    assert search.epochs_saved_ == 0
    assert [len(own[0]["loss"]) for own in search.histories_] == [2, 2, 4]


@pytest.mark.slow
def test_workers_and_a_journal_give_the_same(tmp_path: Path) -> None:
    grid = {"learning_rate": [1e-3, 1e-2, 0.1], "n_hidden": [1, 2]}
    search = halving(KerasMLPRegressor(**MLP), grid)
    alone = search.fit(X, Y)
    with joblib.parallel_config("threading"):
        spread = clone(search).set_params(n_jobs=2).fit(X, Y)
    kept = clone(search).set_params(journal=tmp_path / "j").fit(X, Y)
    again = clone(search).set_params(journal=tmp_path / "j").fit(X, Y)
    for other in (spread, kept, again):
        assert other.epochs_saved_ == alone.epochs_saved_ > 0
        assert list(other.cv_results_["params"]) == list(alone.cv_results_["params"])
        np.testing.assert_allclose(
            other.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"], rtol=1e-4
        )


def test_a_step_without_a_seed_gives_survivors_the_same_inputs() -> None:
    pipeline = make_pipeline(GaussianRandomProjection(3), KerasMLPRegressor(**MLP))
    grid = {"kerasmlpregressor__learning_rate": [1e-3, 1e-2]}
    search = halving(pipeline, grid, max_resources=4).fit(X, Y)
    rates = search.cv_results_["param_kerasmlpregressor__learning_rate"]
    before = int(rates[1] == rates[2])
    for curves, earlier in zip(search.histories_[2], search.histories_[before], strict=True):
        assert curves["loss"][:2] == earlier["loss"]
        assert curves["loss"][2] < earlier["loss"][1]


def test_another_most_is_another_search_to_a_journal(tmp_path: Path) -> None:
    regressor, grid = KerasMLPRegressor(**MLP), {"learning_rate": [1e-3, 1e-2]}
    with pytest.raises(TimeoutError):
        halving(regressor, grid, journal=tmp_path, timeout=0.5).fit(np.tile(X, (300, 1)), np.tile(Y, 300))
    with pytest.raises(JournalError, match="the resource"):
        halving(regressor, grid, journal=tmp_path, max_resources=16).fit(
            np.tile(X, (300, 1)), np.tile(Y, 300)
        )


def test_a_search_that_was_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    search = halving(KerasMLPRegressor(**MLP), {"learning_rate": [1e-3]}, journal=tmp_path / "file")
    with pytest.raises(JournalError, match="cannot be the folder of a journal"):
        search.fit(X, Y)
    assert "_run" not in vars(search)


def test_states_are_kept_of_survivors_alone(tmp_path: Path) -> None:
    grid = {"learning_rate": [1e-3, 3e-3, 1e-2, 3e-2]}
    search = halving(KerasMLPRegressor(**MLP), grid, cv=2, journal=tmp_path).fit(X, Y)
    assert search.n_candidates_ == [4, 2, 1]
    params = [dict(own, epochs=None) for own in search.cv_results_["params"]]
    survivor = next(candidate for candidate in (4, 5) if params[candidate] == params[6])
    records = Records(tmp_path / "journal.sqlite")
    assert set(records.all("state")) == {
        f"{candidate}/{split}" for candidate in (survivor, 6) for split in (0, 1)
    }
    records.close()


@pytest.mark.parametrize(("compiling", "n_compiled"), [(1e3, 1), (0.0, 4)])
def test_later_iterations_train_by_the_programs_of_the_first(
    compiling: float, n_compiled: int, compiles: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = Costs(compiling, 0, 0, 0, 1e9)
    monkeypatch.setattr("kerashp.model_selection._running.evaluation.measured", lambda: costs)
    for module in ("grouping", "plan"):
        monkeypatch.setattr(f"kerashp.model_selection._planning.{module}.n_cores", lambda: 1)
    search = halving(KerasMLPRegressor(**MLP), {"n_neurons": [3, 4, 5, 6]}, cv=2).fit(X, Y)
    assert search.n_candidates_ == [4, 2, 1]
    rooms = [group.room for group in search.plan_.groups]
    predicting = [compiler for _, compiler, *_ in compiles if "n_batch" in compiler.keywords]
    assert len(set(rooms)) == n_compiled == len(compiles) - len(predicting)


@pytest.mark.parametrize(("compiling", "sizes"), [(1e9, [4, 4, 4]), (0.1, [4, 2, 1])])
def test_a_later_iteration_compiles_anew_where_it_would_leave_cores_idle(
    compiling: float, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = Costs(compiling, 0, 0, member_seconds=1.0, flops_per_second=1e9)
    monkeypatch.setattr("kerashp.model_selection._running.evaluation.measured", lambda: costs)
    for module in ("grouping", "plan"):
        monkeypatch.setattr(f"kerashp.model_selection._planning.{module}.n_cores", lambda: 4)
    grid = {"learning_rate": list(np.geomspace(1e-3, 1e-1, 8))}
    search = halving(KerasMLPRegressor(**MLP), grid, cv=2, factor=2, min_resources=2).fit(X, Y)
    assert search.n_candidates_ == [8, 4, 2]
    assert [group.room.n_members for group in search.plan_.groups] == sizes


def test_a_stopped_search_has_the_attributes_of_what_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    results, calls = Evaluation.results, []

    def interrupted(self: Evaluation, tasks: Any) -> Any:
        calls.append(tasks)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return results(self, tasks)

    monkeypatch.setattr(Evaluation, "results", interrupted)
    search = HalvingGridSearchCV(Peak(), {"rate": [1e-4, 1e-3, 1e-2, 1e-1]}, factor=2, cv=2)
    search.set_params(resource="resources", max_resources=8, min_resources=2)
    with pytest.warns(
        UserWarning,
        match="stopped by Ctrl-C: 6 of 6 candidates .* has had 4 of 8 resources; with journal=folder",
    ):
        search.fit(X, Y)
    assert (search.n_iterations_, search.n_candidates_, search.n_resources_) == (2, [4, 2], [2, 4])
    assert (search.n_required_iterations_, search.n_possible_iterations_) == (3, 3)
    assert search.n_remaining_candidates_ == 1
    assert search.best_params_ == {"rate": 1e-2, "resources": 4}


def test_what_is_refused() -> None:
    regressor, grid = KerasMLPRegressor(**MLP), {"learning_rate": [1e-3, 1e-2]}
    with pytest.raises(ValueError, match="got epochs=3, but the search allocates"):
        halving(regressor, grid).fit(X, Y, epochs=3)
    with pytest.raises(ValueError, match="must yield consistent folds"):
        halving(regressor, grid, cv=ShuffleSplit(2)).fit(X, Y)
    with pytest.raises(ValueError, match="Cannot use parameter epochs as the resource since"):
        halving(regressor, {"epochs": [1, 2]}).fit(X, Y)
    with pytest.raises(
        ValueError, match="Cannot use resource=epochs which is not supported by estimator Peak"
    ):
        halving(Peak(), {"rate": [1.0]}).fit(X, Y)
    with pytest.raises(ValueError, match="'max_resources' parameter .* must be"):
        halving(regressor, grid, max_resources="all").fit(X, Y)
