"""keras-tuner's `HyperParameters` as the space of every search."""

from typing import Any

import keras_tuner
import numpy as np
import pytest
from scipy.stats import loguniform, randint
from sklearn.base import BaseEstimator, RegressorMixin, clone

from kerashp import KerasMLPRegressor
from kerashp.integrations.keras_tuner import MLPHyperModel
from kerashp.model_selection import (
    CoarseToFineSearchCV,
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    OptunaSearchCV,
    OracleSearchCV,
    RandomizedSearchCV,
)
from kerashp.plotting._candidates import spaces_of
from kerashp.spaces import from_hyperparameters, to_hyperparameters, zoom

X, Y = np.zeros((12, 1)), np.zeros(12)


class Model(RegressorMixin, BaseEstimator):
    """Scores best at rate=0.01, and higher for more units."""

    def __init__(
        self, rate: float = 1.0, units: int = 1, kind: str = "a", extra: float = 0.0, epochs: int = 9
    ):
        self.rate = rate
        self.units = units
        self.kind = kind
        self.extra = extra
        self.epochs = epochs

    def fit(self, X: Any, y: Any) -> "Model":
        self.fitted_ = True
        return self

    def score(self, X: Any, y: Any) -> float:
        return self.units / 100 - abs(np.log10(self.rate) + 2)


def ranges() -> Any:
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-4, 1.0, sampling="log")
    hp.Int("units", 1, 8)
    hp.Choice("kind", ["a", "b"])
    return hp


def listed() -> Any:
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-3, 1.0, step=10, sampling="log")
    hp.Int("units", 1, 2)
    hp.Fixed("kind", "b")
    return hp


def conditional() -> Any:
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["b"]):
        hp.Float("extra", 0.0, 1.0)
    return hp


def candidates(search: Any) -> list[dict[str, Any]]:
    return list(search.fit(X, Y).cv_results_["params"])


def test_a_randomized_search_draws_what_it_draws_from_the_translation() -> None:
    hp = ranges()
    search = RandomizedSearchCV(Model(), hp, n_iter=5, cv=2, random_state=0)
    expected = RandomizedSearchCV(Model(), from_hyperparameters(hp), n_iter=5, cv=2, random_state=0)
    assert candidates(search) == candidates(expected)
    assert search.param_distributions is hp
    assert search.get_params()["param_distributions"] is hp
    assert candidates(clone(search)) == candidates(expected)


def test_a_halving_search_draws_from_them() -> None:
    options = {"resource": "epochs", "max_resources": 9, "min_resources": 3, "cv": 2, "random_state": 0}
    search = HalvingRandomSearchCV(Model(), ranges(), **options)
    same = HalvingRandomSearchCV(Model(), from_hyperparameters(ranges()), **options)
    assert candidates(search) == candidates(same)


def test_a_search_from_coarse_to_fine_zooms_into_them() -> None:
    options = {"n_iter": 3, "n_rounds": 2, "cv": 2, "random_state": 0}
    search = CoarseToFineSearchCV(Model(), ranges(), **options)
    assert candidates(search) == candidates(
        CoarseToFineSearchCV(Model(), from_hyperparameters(ranges()), **options)
    )
    widths = [np.ptp(np.log10(one.space["rate"].support())) for one in search.rounds_]
    assert widths == pytest.approx([4.0, 2.0])
    narrow = zoom(ranges(), search, 0.5)
    assert np.ptp(np.log10(narrow["rate"].support())) == pytest.approx(2.0)


@pytest.mark.parametrize("search", [GridSearchCV, HalvingGridSearchCV])
def test_a_grid_has_all_that_is_listed(search: Any) -> None:
    options = {"resource": "epochs", "max_resources": 1} if search is HalvingGridSearchCV else {}
    found = candidates(search(Model(), listed(), cv=2, **options))
    rates, units = [0.001, 0.01, 0.1, 1.0], [1, 2]
    pairs = sorted((one["rate"], one["units"], one["kind"]) for one in found)
    assert pairs == [(pytest.approx(rate), unit, "b") for rate in rates for unit in units]


@pytest.mark.parametrize("search", [GridSearchCV, HalvingGridSearchCV])
@pytest.mark.parametrize(("make", "name"), [(ranges, "rate"), (conditional, "extra")])
def test_a_grid_of_ranges_is_refused_by_name(search: Any, make: Any, name: str) -> None:
    message = f"{search.__name__}: '{name}' of the HyperParameters is a range without a step.* Give it a step"
    with pytest.raises(ValueError, match=message):
        search(Model(), make(), cv=2).fit(X, Y)


def test_conditions_are_several_spaces() -> None:
    found = candidates(RandomizedSearchCV(Model(), conditional(), n_iter=8, cv=2, random_state=0))
    assert {one["kind"]: set(one) for one in found} == {"a": {"kind"}, "b": {"kind", "extra"}}
    with pytest.raises(ValueError, match="CoarseToFineSearchCV: some of .* depend on 'kind'"):
        CoarseToFineSearchCV(Model(), conditional(), cv=2).fit(X, Y)
    with pytest.raises(ValueError, match="zoom: some of .* depend on 'kind', .* leave the conditions out"):
        zoom(conditional(), {})


@pytest.mark.parametrize("oracle", ["random", "bayesian", "grid"])
def test_an_oracle_takes_them_as_they_are(oracle: str) -> None:
    hp = conditional()
    hp.Float("rate", 0.9, 0.999, sampling="reverse_log")  # of which no distribution is known
    search = OracleSearchCV(Model(), hp, oracle=oracle, n_trials=12, cv=2, random_state=0)
    found = candidates(search)
    assert {one["kind"]: set(one) for one in found} == {"a": {"kind", "rate"}, "b": {"kind", "extra", "rate"}}
    assert all(0.9 <= one["rate"] <= 0.999 for one in found)
    assert search.space is hp
    assert set(hp.values) == {"kind", "rate"}  # as it was before


def test_a_study_takes_them() -> None:
    found = candidates(OptunaSearchCV(Model(), conditional(), n_trials=8, cv=2, random_state=0))
    assert {one["kind"]: set(one) for one in found} == {"a": {"kind"}, "b": {"kind", "extra"}}


def test_a_translation_keeps_the_values_that_keras_tuner_cannot_hold() -> None:
    hp = to_hyperparameters({"units": [None, 3], "rate": loguniform(0.1, 1.0)})
    copied = to_hyperparameters(hp)
    assert copied is not hp
    assert from_hyperparameters(copied)["units"] == [None, 3]
    found = candidates(OracleSearchCV(Model(), to_hyperparameters({"kind": [None, 5]}), oracle="grid", cv=2))
    assert [one["kind"] for one in found] == [None, 5]


@pytest.mark.slow
def test_candidates_of_hyperparameters_train_together() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    rows = np.random.default_rng(0).normal(size=(40, 3))
    search = RandomizedSearchCV(KerasMLPRegressor(1, 4, epochs=2), hp, n_iter=2, cv=2, random_state=0)
    search.fit(rows, rows[:, 0])
    assert [len(group.fits) for group in search.plan_.groups] == [4]


def test_a_space_is_given_back_when_a_search_fails() -> None:
    hp = ranges()
    search = RandomizedSearchCV(Model(), hp, n_iter=2, cv=2, scoring="no score")
    with pytest.raises(ValueError, match="no score"):
        search.fit(X, Y)
    assert search.param_distributions is hp


def test_integers_of_a_range_are_a_list_in_a_grid() -> None:
    assert from_hyperparameters(listed())["units"].support() == randint(1, 3).support()
    found = candidates(GridSearchCV(Model(), to_hyperparameters({"units": randint(2, 5)}), cv=2))
    assert [one["units"] for one in found] == [2, 3, 4]


def test_plots_and_reports_know_their_laws() -> None:
    search = RandomizedSearchCV(Model(), ranges(), n_iter=3, cv=2, random_state=0).fit(X, Y)
    spaces = spaces_of(search)
    assert spaces["rate"][0].dist.name in ("loguniform", "reciprocal")
    assert spaces["kind"] == [["a", "b"]]
    assert len(spaces_of(RandomizedSearchCV(Model(), conditional()))["kind"]) == 2
    hp = conditional()
    hp.Float("rate", 0.9, 0.999, sampling="reverse_log")
    assert spaces_of(OracleSearchCV(Model(), hp)) == {}


def test_a_hypermodel_takes_them() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Int("n_neurons", 3, 5)
    hp.Choice("batch_size", [8, 16])
    hypermodel = MLPHyperModel(hp, input_shape=(4,))
    model = hypermodel.build(keras_tuner.HyperParameters())
    assert model.layers[0].units == 3
    with pytest.raises(ValueError, match="there is no argument 'kind', 'rate', 'units'"):
        MLPHyperModel(ranges())
    with pytest.raises(ValueError, match="'n_neurons' is in space and in fixed"):
        MLPHyperModel(hp, n_neurons=3)
