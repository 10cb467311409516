"""Spaces as keras-tuner's hyperparameters, and back."""

import json
import math
from typing import Any

import keras_tuner
import numpy as np
import pytest
from scipy.stats import loguniform, norm, randint, uniform
from sklearn.model_selection import ParameterGrid, ParameterSampler

from kerashp.spaces import (
    from_hyperparameters,
    int_loguniform,
    one_minus_loguniform,
    params_from_hyperparameters,
    recommended_space,
    to_hyperparameters,
)


def double(x: Any) -> Any:
    return 2 * x


SPACE: dict[str, Any] = {
    "learning_rate": loguniform(1e-4, 1.0),
    "dropout": uniform(0.1, 0.4),
    "n_hidden": randint(0, 4),
    "n_neurons": int_loguniform(5, 80),
    "momentum": one_minus_loguniform(0.9, 0.999),
    "batch_normalization": [True, False],
    "normalize": [False, True],
    "activation": ["relu", "selu"],
    "batch_size": [16, 32, 64],
    "l2": [0.0, 1e-3],
    "epochs": [20],
    "optimizer": ["adam"],
    "clipnorm": [None, 1.0],
    "taper": [1, 0.5],
    "kernel_initializer": [double, ("a", 1), [2, 3]],
    "dtype": [None],
}


def described(values: Any) -> Any:
    """A list or a distribution as something that equals its like."""
    kind = getattr(getattr(values, "dist", None), "name", None)
    return values if kind is None else (kind, values.support())


def drawn(one: Any, n: int = 2000) -> np.ndarray:
    """A hyperparameter's values at the middles of n equal parts of [0, 1]."""
    return np.array([one.prob_to_value((i + 0.5) / n) for i in range(n)])


@pytest.mark.parametrize("name", SPACE)
def test_a_round_trip_gives_the_parameter_back(name: str) -> None:
    (back,) = from_hyperparameters(to_hyperparameters({name: SPACE[name]})).items()
    assert back[0] == name
    assert described(back[1]) == described(SPACE[name])
    assert not isinstance(back[1], list) or list(map(type, back[1])) == list(map(type, SPACE[name]))


def test_a_round_trip_gives_several_spaces_back() -> None:
    spaces = [
        {"optimizer": ["sgd"], "momentum": one_minus_loguniform(0.1, 0.99), "n_neurons": [(3, 3), 5]},
        {"optimizer": ["adam"], "n_neurons": [None]},
    ]
    assert from_hyperparameters(to_hyperparameters(spaces)) == spaces
    assert from_hyperparameters(to_hyperparameters(spaces[:1])) == spaces[:1]
    assert from_hyperparameters(to_hyperparameters([{}])) == [{}]
    assert from_hyperparameters(to_hyperparameters([{}, {"a": [1]}])) == [{}, {"a": [1]}]
    for optimizer in ("adam", "adamw"):
        recommended = recommended_space(20, 500, "binary", optimizer)
        back = from_hyperparameters(to_hyperparameters(recommended))
        assert {name: described(back[name]) for name in back} == {
            name: described(recommended[name]) for name in recommended
        }


@pytest.mark.parametrize("name", ["learning_rate", "dropout", "n_hidden", "n_neurons", "momentum"])
def test_the_law_is_the_same(name: str) -> None:
    (one,) = to_hyperparameters({name: SPACE[name]}).space
    values = drawn(one)
    own = 1 - values if name == "momentum" else values
    quantiles = (np.arange(2000) + 0.5) / 2000
    expected = SPACE[name].ppf(quantiles)
    np.testing.assert_allclose(np.sort(own), expected)


def test_reverse_log_is_not_log_uniform_in_one_minus() -> None:
    theirs = keras_tuner.HyperParameters()
    theirs.Float("momentum", 0.9, 0.999, sampling="reverse_log")
    (ours,) = to_hyperparameters({"momentum": one_minus_loguniform(0.9, 0.999)}).space
    assert ours.name == "1 - momentum"
    assert 1 - np.median(drawn(ours)) == pytest.approx(0.99, abs=1e-4)
    # max + min - sqrt(max min), next to the middle of the range
    assert np.median(drawn(theirs.space[0])) == pytest.approx(1.899 - math.sqrt(0.9 * 0.999), abs=1e-4)
    assert np.median(drawn(theirs.space[0])) == pytest.approx((0.9 + 0.999) / 2, abs=2e-3)


def test_lists_tuples_ranges_and_arrays_are_lists() -> None:
    space = {"a": range(2, 8, 2), "b": (1.0, 2.0), "c": np.arange(3), "d": np.array(["x", "y"])}
    hp = to_hyperparameters(space)
    assert from_hyperparameters(hp) == {"a": [2, 4, 6], "b": [1.0, 2.0], "c": [0, 1, 2], "d": ["x", "y"]}
    assert {type(one).__name__ for one in hp.space} == {"Choice"}
    json.dumps(hp.get_config())  # as keras-tuner saves it


@pytest.mark.parametrize(
    "values",
    [
        [1, 1, 2],
        [1.0, math.inf],
        [True, 1],
        ["a", None],
        [np.zeros(2), "a"],
        [1.0, None],
        [0.9, "a"],
        [0.1, (1, 2)],
        [0.5, 1, None],
    ],
)
def test_what_a_choice_cannot_hold_or_tell_apart_goes_by_position(values: list[Any]) -> None:
    hp = to_hyperparameters({"p": values})
    assert (hp.space[0].name, hp.space[0].values) == ("position of p", list(range(len(values))))
    for place, value in enumerate(values):
        hp.values = {"position of p": place}
        assert params_from_hyperparameters(hp)["p"] is value


def test_values_become_parameters() -> None:
    hp = to_hyperparameters(SPACE)
    for one in hp.space:
        hp.values[one.name] = one.prob_to_value(0.3)
    params = params_from_hyperparameters(hp)
    assert set(params) == set(SPACE)
    assert params["momentum"] == pytest.approx(1 - 10 ** -(3 - 2 * 0.3))
    assert (params["clipnorm"], params["kernel_initializer"], params["dtype"]) == (None, double, None)
    assert params_from_hyperparameters(hp.copy()) == params


def test_the_end_of_a_range_is_not_passed() -> None:
    """Where keras-tuner's Bayesian optimization is at the end of an integer's range, it proposes one more."""
    hp = to_hyperparameters({"n_neurons": int_loguniform(16, 128), "learning_rate": loguniform(1e-4, 1e-2)})
    hp.values = {one.name: one.prob_to_value(1.0) for one in hp.space}
    assert hp.values["n_neurons"] == 129
    params = params_from_hyperparameters(hp)
    assert params["n_neurons"] == 128
    assert params["learning_rate"] <= 1e-2
    steps = keras_tuner.HyperParameters()
    steps.Float("momentum", 0.3, 0.9, step=0.2)  # the last value is 0.9000000000000001
    last = max(steps.space[0].values)
    steps.values = {"momentum": last}
    assert params_from_hyperparameters(steps) == {"momentum": last}


def test_positions_survive_a_file_only_with_the_space() -> None:
    hp = to_hyperparameters({"clipnorm": [None, 1.0]})
    hp.values = {"position of clipnorm": 1, "tuner/epochs": 3}
    reread = keras_tuner.HyperParameters.from_config(json.loads(json.dumps(hp.get_config())))
    for translate in (params_from_hyperparameters, from_hyperparameters):
        with pytest.raises(ValueError, match="lacks the values of 'position of clipnorm'"):
            translate(reread)
    assert params_from_hyperparameters(reread, {"clipnorm": [None, 1.0]}) == {"clipnorm": 1.0}


def test_hyperparameters_that_keras_tuner_made() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Int("a", 2, 9, step=3)
    hp.Int("b", 2, 32, step=2, sampling="log")
    hp.Float("c", 0.0, 1.0, step=0.25)
    hp.Float("d", 1e-3, 1.0, step=10, sampling="log")
    hp.Boolean("e", default=True)
    hp.Fixed("f", "x")
    hp.Int("g", 4, 4, sampling="log")
    hp.Float("h", 0.0, 3.0)
    hp.Float("i", 1.0, 3.0, step=1, sampling="linear")
    space = from_hyperparameters(hp)
    assert space["a"] == [2, 5, 8]
    assert space["b"] == [2, 4, 8, 16, 32]
    assert {type(value) for value in space["b"]} == {int}
    assert space["c"] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert space["d"] == pytest.approx([1e-3, 1e-2, 0.1, 1.0])
    assert (space["e"], space["f"], space["g"]) == ([True, False], ["x"], [4])
    assert described(space["h"]) == ("uniform", (0.0, 3.0))
    assert space["i"] == [1.0, 2.0, 3.0]


def test_conditions_become_a_list_of_spaces() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Choice("optimizer", ["sgd", "adam"])
    hp.Int("n_hidden", 0, 2)
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("momentum", 0.1, 0.9, step=0.8)
    with hp.conditional_scope("n_hidden", [1, 2]):
        hp.Choice("n_neurons", [10, 20])
    spaces = from_hyperparameters(hp)
    assert [(one["optimizer"], one["n_hidden"], set(one)) for one in spaces] == [
        ([kind], [depth], {"optimizer", "n_hidden"} | neurons | momentum)
        for kind, momentum in (("sgd", {"momentum"}), ("adam", set()))
        for depth, neurons in ((0, set()), (1, {"n_neurons"}), (2, {"n_neurons"}))
    ]
    assert len(ParameterGrid(spaces)) == 2 * (1 + 2 + 2) + (1 + 2 + 2)


def test_each_of_several_spaces_has_its_own_names() -> None:
    hp = to_hyperparameters([{"a": [1, 2]}, {"a": [3, 4], "b": uniform(0, 1)}])
    assert [one.name for one in hp.space] == ["kerashp/space", "kerashp/0/a", "kerashp/1/a", "kerashp/1/b"]
    hp.values = {"kerashp/space": 1, "kerashp/1/a": 4, "kerashp/1/b": 0.5}
    assert [hp.is_active(one) for one in hp.space] == [True, False, True, True]
    assert params_from_hyperparameters(hp) == {"a": 4, "b": 0.5}


def test_a_space_is_left_as_it_was_and_samplers_take_what_comes_back() -> None:
    values = [None, 1.0]
    to_hyperparameters({"a": values}).choices["position of a"].append("more")
    assert values == [None, 1.0]
    back = from_hyperparameters(to_hyperparameters({name: SPACE[name] for name in ("dropout", "clipnorm")}))
    assert len(list(ParameterSampler(back, 3, random_state=0))) == 3


@pytest.mark.parametrize(
    ("space", "error", "said"),
    [
        (3, TypeError, "space must be a dict .* got 3"),
        ([], TypeError, "space must be a dict .* got \\[\\]"),
        ([3], TypeError, "space must be a dict"),
        ({3: [1]}, TypeError, "name must be a str, got 3"),
        ({"tuner/epochs": [1]}, ValueError, "rename parameter 'tuner/epochs'"),
        ({"1 - p": [1]}, ValueError, "rename parameter '1 - p'"),
        ({"p": 0.1}, TypeError, "cannot translate parameter 'p', got 0.1"),
        ({"p": "relu"}, TypeError, "cannot translate parameter 'p', got 'relu'"),
        ({"p": norm(0, 1)}, TypeError, "parameter 'p', got SciPy's norm"),
        ({"p": np.zeros((2, 2))}, TypeError, "parameter 'p', got an array of shape \\(2, 2\\)"),
        ({"p": []}, ValueError, "list of parameter 'p' is empty"),
        ({"p": loguniform(1, 10, loc=5)}, ValueError, "parameter 'p' is a loguniform shifted by loc"),
        ({"p": uniform([0, 1], 1)}, ValueError, "parameter 'p' must have a range of numbers low < high"),
        ({"p": uniform(0, 0)}, ValueError, "parameter 'p' must have a range of numbers low < high"),
    ],
)
def test_what_cannot_be_translated_is_refused(space: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        to_hyperparameters(space)


def reversed_log(hp: Any) -> None:
    hp.Float("p", 0.9, 0.99, sampling="reverse_log")


def depends_on_a_range(hp: Any) -> None:
    hp.Float("p", 0.0, 1.0)
    with hp.conditional_scope("p", [0.0]):
        hp.Int("q", 1, 2)


def twice(hp: Any) -> None:
    hp.Choice("kind", ["a", "b"])
    hp.Int("p", 1, 2)
    with hp.conditional_scope("kind", ["a"]):
        hp.Int("p", 1, 5)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (reversed_log, "'p' is sampled reverse_log"),
        (depends_on_a_range, "depend on 'p', a Float without a list of values"),
        (twice, "'p' has two ranges that can be active at the same time"),
    ],
)
def test_what_has_no_counterpart_is_refused(make: Any, said: str) -> None:
    hp = keras_tuner.HyperParameters()
    make(hp)
    with pytest.raises(ValueError, match=said):
        from_hyperparameters(hp)


def test_only_hyperparameters_are_taken() -> None:
    for translate in (from_hyperparameters, params_from_hyperparameters):
        with pytest.raises(TypeError, match="hp must be a keras_tuner.HyperParameters, got {}"):
            translate({})
