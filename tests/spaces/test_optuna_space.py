"""Spaces as Optuna's distributions, and the values of trials."""

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import loguniform, norm, randint, uniform

from kerashp.spaces import int_loguniform, one_minus_loguniform, recommended_space
from kerashp.spaces._optuna_space import OptunaSpace, optuna_parameter, parameters_of_candidates


@pytest.mark.parametrize(
    ("values", "distribution"),
    [
        (loguniform(1e-3, 1e-1), FloatDistribution(1e-3, 1e-1, log=True)),
        (uniform(1, 2), FloatDistribution(1, 3)),
        (randint(2, 9), IntDistribution(2, 8)),
        (randint(2, 3), IntDistribution(2, 2)),
        (int_loguniform(4, 64), IntDistribution(4, 64, log=True)),
        (range(10, 50, 20), IntDistribution(10, 30, step=20)),
        (range(9, 0, -4), IntDistribution(1, 9, step=4)),
        (["relu", "tanh"], CategoricalDistribution(("relu", "tanh"))),
        ([None, 0.5, 3, True], CategoricalDistribution((None, 0.5, 3, True))),
        (np.array([1, 2]), CategoricalDistribution((1, 2))),
        (FloatDistribution(0, 1, step=0.25), FloatDistribution(0, 1, step=0.25)),
        (CategoricalDistribution(("a", "b")), CategoricalDistribution(("a", "b"))),
    ],
)
def test_each_kind_has_its_distribution(values: Any, distribution: Any) -> None:
    parameter = optuna_parameter("p", values)
    assert (parameter.name, parameter.distribution) == ("p", distribution)


@pytest.mark.parametrize(
    "values", [[(1, 2), None], [1, 1.0], [True, 1], [float("nan"), 1.0], [np.tanh, np.sin]]
)
def test_values_that_optuna_cannot_hold_go_by_position(values: list[Any]) -> None:
    parameter = optuna_parameter("p", values)
    assert parameter.name == "position of p"
    assert parameter.distribution == CategoricalDistribution((0, 1))
    assert [parameter.value(position) for position in (0, 1)] == values or values[0] != values[0]
    assert [parameter.held(value) for value in values] == [0, 1]


def test_one_minus_log_is_uniform_in_the_logarithm_of_the_gap() -> None:
    parameter = optuna_parameter("momentum", one_minus_loguniform(0.9, 0.999))
    assert parameter.name == "1 - momentum"
    assert parameter.distribution == FloatDistribution(1 - 0.999, 1 - 0.9, log=True)
    assert parameter.value(parameter.distribution.low) == 0.999
    assert parameter.value(parameter.distribution.high) == 0.9
    assert parameter.value(parameter.held(0.95)) == pytest.approx(0.95)
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    space = OptunaSpace({"momentum": one_minus_loguniform(0.9, 0.999)})
    drawn = [space.suggested(study.ask())["momentum"] for _ in range(200)]
    assert np.median(drawn) == pytest.approx(0.99, abs=0.004)


@pytest.mark.parametrize(
    ("values", "outside"),
    [
        (uniform(0, 1), 1.5),
        (uniform(0, 1), "relu"),
        (randint(0, 5), 2.5),
        (range(0, 9, 2), 3),
        (FloatDistribution(0, 1, step=0.25), 0.3),
        (["relu"], "tanh"),
        ([1], True),
        (one_minus_loguniform(0.9, 0.99), 0.5),
    ],
)
def test_a_value_outside_is_refused(values: Any, outside: Any) -> None:
    parameter = optuna_parameter("p", values)
    with pytest.raises(
        (TypeError, ValueError), match=r"not in|not among|'<' not supported|not supported between"
    ):
        parameter.held(outside)
    assert not parameter.contains(outside)


def test_several_spaces_have_a_choice_and_prefixes_where_they_differ() -> None:
    spaces = [
        {"kind": ["a"], "rate": loguniform(0.1, 1), "size": [(1,)]},
        {"kind": ["b"], "rate": loguniform(0.1, 1), "size": [(2,)]},
    ]
    space = OptunaSpace(spaces)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(8):
        trial = study.ask()
        params = space.suggested(trial)
        index = trial.params["kerashp/space"]
        assert params == {"kind": "ab"[index], "rate": trial.params["rate"], "size": (index + 1,)}
        names = {f"kerashp/{index}/kind", f"kerashp/{index}/position of size", "rate", "kerashp/space"}
        assert set(trial.params) == names
        assert space.params(trial.params) == params
    assert {trial.params["kerashp/space"] for trial in study.trials} == {0, 1}


def test_trials_of_another_space_are_not_taken() -> None:
    space = OptunaSpace({"a": [1, 2]})
    assert space.params({"a": 2}) == {"a": 2}
    assert space.params({"b": 2}) is None
    assert space.params({"a": 2, "b": 1}) is None
    assert OptunaSpace([{"a": [1]}]).params({"a": 1}) is None


def test_the_recommended_space() -> None:
    space = OptunaSpace(recommended_space(4, 150, "regression"))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert set(space.suggested(study.ask())) == set(recommended_space(4, 150, "regression"))


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (
            norm(),
            TypeError,
            "OptunaSearchCV: cannot translate parameter 'p', got SciPy's norm; supported are",
        ),
        (0.1, TypeError, "cannot translate parameter 'p', got 0.1"),
        ([], ValueError, "the list of parameter 'p' is empty"),
        (np.ones((2, 2)), TypeError, r"got an array of shape \(2, 2\)"),
        (uniform(0, 0), ValueError, "must have a range of numbers low < high"),
        (loguniform(1, 10, loc=5), ValueError, "is a loguniform shifted by loc"),
    ],
)
def test_what_cannot_be_translated(values: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        OptunaSpace({"p": values})


def test_candidates_have_the_distributions_of_the_space() -> None:
    space = {"rate": loguniform(0.1, 1), "size": [(1,), (2,)], "kind": ["a", "b"], "unused": [1]}
    candidates = [{"rate": np.float64(0.5), "size": (2,), "kind": "b"}]
    rate, size, kind = parameters_of_candidates(space, candidates)
    assert rate.distribution == FloatDistribution(0.1, 1, log=True)
    assert rate.held(candidates[0]["rate"]) == 0.5
    assert (size.name, size.held((2,))) == ("position of size", 1)
    assert kind.distribution == CategoricalDistribution(("a", "b"))


@pytest.mark.parametrize(
    ("space", "values", "distribution"),
    [
        ({"p": norm()}, [0.5, -1.5], FloatDistribution(-1.5, 0.5)),
        ({}, [3, 1], IntDistribution(1, 3)),
        ({"p": loguniform(1, 2)}, [1.5, 8.0], FloatDistribution(1.5, 8.0, log=True)),  # zoomed out
        ([{"p": [1, 2]}, {"p": [3]}], [1, 3], IntDistribution(1, 3)),
        ([{"p": [1, 2]}, {"p": [1, 2]}, {}], [1, 2], CategoricalDistribution((1, 2))),
        ([{"p": ["a"]}, {"p": ["b"]}], ["b", "a", "b"], CategoricalDistribution(("b", "a"))),
        (None, [True, False], CategoricalDistribution((True, False))),
    ],
)
def test_candidates_without_a_distribution_have_that_of_their_values(
    space: Any, values: list[Any], distribution: Any
) -> None:
    (parameter,) = parameters_of_candidates(space, [{"p": value} for value in values])
    assert parameter.distribution == distribution
    assert all(parameter.contains(value) for value in values)
