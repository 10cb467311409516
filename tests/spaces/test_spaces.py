"""The laws of the distributions, the recommended space, and what `zoom` keeps and narrows."""

import copy
import math
import pickle
import re
import subprocess
import sys
from functools import partial

import keras
import numpy as np
import pytest
import scipy.stats
from scipy.stats import loguniform, norm, randint, reciprocal, uniform
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV, ParameterSampler, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kerashp.spaces
from kerashp import build_model
from kerashp._optimizers import known_optimizers
from kerashp.model_selection import CoarseToFineSearchCV, OptunaSearchCV, OracleSearchCV
from kerashp.spaces import int_loguniform, one_minus_loguniform, recommended_space, zoom

OURS = [int_loguniform(10, 1000), one_minus_loguniform(0.9, 0.999)]
TASKS = ["regression", "binary", "multiclass", "multilabel"]


def results_of(name, values, scores=None):
    """A `cv_results_` where the first value is the best, unless `scores` say otherwise."""
    scores = np.arange(len(values), 0, -1.0) if scores is None else np.asarray(scores, dtype=float)
    ranks = scipy.stats.rankdata(-np.nan_to_num(scores, nan=-np.inf), method="min").astype(np.int32)
    return {
        "params": [{name: value} for value in values],
        "mean_test_score": scores,
        "rank_test_score": ranks,
    }


def zoom_one(dist, values, shrink=0.5, **kwargs):
    return zoom({"p": dist}, results_of("p", values), shrink, **kwargs)["p"]


def log_width(dist):
    low, high = dist.support()
    return math.log(high / low)


# The module


def test_loguniform_is_scipys():
    assert kerashp.spaces.loguniform is scipy.stats.loguniform
    assert set(kerashp.spaces.__all__) == {
        "from_hyperparameters",
        "int_loguniform",
        "loguniform",
        "one_minus_loguniform",
        "params_from_hyperparameters",
        "realmlp_space",
        "recommended_space",
        "tabm_space",
        "to_hyperparameters",
        "zoom",
    }


def test_import_loads_no_framework():
    frameworks = {"tensorflow", "keras", "keras_tuner", "sklearn", "jax"}
    code = f"import sys, kerashp.spaces; print(sorted({frameworks} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# The distributions


def test_int_loguniform_law_is_log_of_k_plus_1_over_k():
    dist = int_loguniform(2, 6)
    draws = dist.rvs(size=200_000, random_state=0)
    values, counts = np.unique(draws, return_counts=True)
    assert values.tolist() == [2, 3, 4, 5, 6]
    expected = np.log((values + 1) / values) / math.log(7 / 2)
    assert expected.sum() == pytest.approx(1)
    assert scipy.stats.chisquare(counts, expected * draws.size).pvalue > 0.01
    np.testing.assert_allclose(np.diff(dist.cdf(np.arange(1, 7))), expected)


@pytest.mark.parametrize("q", [0.1, 0.25, 0.5, 0.75, 0.9])
def test_int_loguniform_sample_quantiles(q):
    draws = int_loguniform(10, 1000).rvs(size=100_000, random_state=1)
    assert np.quantile(draws, q) == pytest.approx(math.floor(10 * 100.1**q), rel=0.02)


def test_int_loguniform_bounds_are_included_and_kept():
    draws = int_loguniform(1, 3).rvs(size=1000, random_state=0)
    assert set(draws.tolist()) == {1, 2, 3}
    assert draws.dtype == np.int64


def test_int_loguniform_draws_plain_int():
    assert type(int_loguniform(1, 100).rvs(random_state=0)) is int
    assert type(int_loguniform(1, 100).ppf(0.3)) is int
    assert int_loguniform(1, 100).rvs(size=(2, 3), random_state=0).shape == (2, 3)
    assert int_loguniform(1, 100).rvs(size=1, random_state=0).shape == (1,)


def test_int_loguniform_ppf_inverts_cdf():
    dist = int_loguniform(3, 40)
    k = np.arange(3, 41)
    np.testing.assert_array_equal(dist.ppf(dist.cdf(k) - 1e-9), k)
    assert dist.ppf([0, 1]).tolist() == [3, 40]
    assert dist.cdf([2, 40, 41]).tolist() == [0, 1, 1]
    assert dist.cdf(5.9) == dist.cdf(5)


def test_int_loguniform_reaches_its_greatest_bound():
    assert int_loguniform(1, 2**53 - 1).ppf([0.0, 1.0]).tolist() == [1, 2**53 - 1]


def test_one_minus_loguniform_median_is_099():
    dist = one_minus_loguniform(0.9, 0.999)
    assert dist.ppf(0.5) == pytest.approx(0.99, abs=1e-12)
    assert dist.cdf(0.99) == pytest.approx(0.5, abs=1e-12)
    assert np.median(dist.rvs(size=100_000, random_state=0)) == pytest.approx(0.99, abs=2e-4)


@pytest.mark.parametrize("bounds", [(0.9, 0.999), (0.0, 0.5), (0.3, 0.99999)])
def test_one_minus_loguniform_gap_is_loguniform(bounds):
    low, high = bounds
    draws = one_minus_loguniform(low, high).rvs(size=20_000, random_state=0)
    assert draws.min() >= low
    assert draws.max() <= high
    gap_law = loguniform(1 - high, 1 - low)
    assert scipy.stats.kstest(1 - draws, gap_law.cdf).pvalue > 0.01


@pytest.mark.parametrize("bounds", [(0.9, 0.999), (0.1, 0.3), (0.0, 0.7)])
def test_one_minus_loguniform_ends_are_exact(bounds):
    dist = one_minus_loguniform(*bounds)
    assert tuple(dist.ppf([0, 1])) == bounds == dist.support()
    assert type(dist.rvs(random_state=0)) is float
    q = np.linspace(0, 1, 11)
    np.testing.assert_allclose(dist.cdf(dist.ppf(q)), q, atol=1e-9)


@pytest.mark.parametrize("dist", OURS, ids=repr)
class TestContract:
    def test_pickle_copy_clone_and_equality(self, dist):
        for twin in (pickle.loads(pickle.dumps(dist)), copy.deepcopy(dist), clone(dist, safe=False)):
            assert twin == dist
            assert hash(twin) == hash(dist)
        assert dist != type(dist)(dist.low, (dist.low + dist.high) / 2 if dist.high < 1 else dist.high - 1)

    def test_repr_rebuilds_it(self, dist):
        assert eval(repr(dist)) == dist

    def test_frozen(self, dist):
        with pytest.raises(AttributeError):
            dist.low = 0

    @pytest.mark.parametrize("seed", [7, np.random.RandomState, np.random.default_rng])
    def test_same_seed_same_draws(self, dist, seed):
        first, second = (seed(3) if callable(seed) else seed for _ in range(2))
        np.testing.assert_array_equal(dist.rvs(5, first), dist.rvs(5, second))
        assert len(set(dist.rvs(20, random_state=3).tolist())) > 5

    def test_without_seed_follows_numpys_global_state_as_scipy(self, dist):
        state = np.random.get_state()
        try:
            np.random.seed(0)
            assert dist.rvs() == dist.rvs(random_state=np.random.RandomState(0))
        finally:
            np.random.set_state(state)

    def test_parameter_sampler(self, dist):
        space = {"p": dist, "q": [1, 2]}
        first, second = (list(ParameterSampler(space, 10, random_state=0)) for _ in range(2))
        assert first == second
        assert all(dist.low <= params["p"] <= dist.high for params in first)
        assert {type(params["p"]) for params in first} == {type(dist.low)}
        assert first != list(ParameterSampler(space, 10, random_state=1))

    @pytest.mark.parametrize("q", [-0.1, 1.1, np.nan, [0.5, 2]])
    def test_ppf_refuses_non_probabilities(self, dist, q):
        match = rf"^{type(dist).__name__}: q must be in \[0, 1\], got {re.escape(repr(q))}$"
        with pytest.raises(ValueError, match=match):
            dist.ppf(q)

    def test_swapped_bounds(self, dist):
        match = rf"^{type(dist).__name__}: expected .* low={dist.high!r}, high={dist.low!r}; swap them$"
        with pytest.raises(ValueError, match=match):
            type(dist)(dist.high, dist.low)


def test_numpy_scalars_become_python_numbers():
    ints = int_loguniform(np.int64(2), np.int32(8))
    betas = one_minus_loguniform(np.float64(0.5), np.float64(0.9))
    assert (type(ints.low), type(ints.high)) == (int, int)
    assert (type(betas.low), type(betas.high)) == (float, float)
    assert ints == int_loguniform(2, 8)
    assert betas == one_minus_loguniform(0.5, 0.9)
    assert one_minus_loguniform(0, 0.9).low == 0.0


@pytest.mark.parametrize("bounds", [(0, 10), (-3, 10), (5, 5), (1, 2**53)])
def test_int_loguniform_refuses_bounds(bounds):
    match = rf"^int_loguniform: expected 1 <= low < high < 2\*\*53, got low={bounds[0]}, high={bounds[1]}$"
    with pytest.raises(ValueError, match=match):
        int_loguniform(*bounds)


@pytest.mark.parametrize("bad", [2.0, "2", None, True])
def test_int_loguniform_refuses_types(bad):
    kind = type(bad).__name__
    for name, bounds in (("low", (bad, 10)), ("high", (1, bad))):
        match = rf"^int_loguniform: {name} must be an integer such as 16, got {bad!r} \({kind}\)$"
        with pytest.raises(TypeError, match=match):
            int_loguniform(*bounds)


@pytest.mark.parametrize("bounds", [(-0.1, 0.9), (0.9, 1.0), (0.9, 0.9), (math.nan, 0.9), (0.5, math.inf)])
def test_one_minus_loguniform_refuses_bounds(bounds):
    match = rf"^one_minus_loguniform: expected 0 <= low < high < 1, got low={bounds[0]}, high={bounds[1]}$"
    with pytest.raises(ValueError, match=match):
        one_minus_loguniform(*bounds)


@pytest.mark.parametrize("bad", ["0.9", None, False, 1j])
def test_one_minus_loguniform_refuses_types(bad):
    received = re.escape(f"{bad!r} ({type(bad).__name__})")
    for name, bounds in (("low", (bad, 0.9)), ("high", (0.1, bad))):
        match = rf"^one_minus_loguniform: {name} must be a number such as 0.9, got {received}$"
        with pytest.raises(TypeError, match=match):
            one_minus_loguniform(*bounds)


# recommended_space


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("n_features", "neurons"),
    [(1, (32, 128)), (32, (32, 128)), (64, (64, 256)), (784, (256, 1024)), (10**5, (256, 1024))],
)
def test_recommended_neurons_follow_the_width(n_features, neurons, task):
    assert recommended_space(n_features, 1000, task)["n_neurons"] == int_loguniform(*neurons)


@pytest.mark.parametrize(
    ("n_samples", "batch_sizes"),
    [
        (1, [1]),
        (7, [4]),
        (8, [8]),
        (31, [8]),
        (150, [8, 32]),
        (500, [8, 32]),
        (569, [16, 64]),
        (1797, [16, 64]),
        (20_640, [64, 256]),
        (10**9, [64, 256]),
    ],
)
def test_recommended_batch_sizes_are_powers_of_two_that_suit_the_rows(n_samples, batch_sizes):
    assert recommended_space(20, n_samples, "binary")["batch_size"] == batch_sizes


def test_recommended_fixed_ranges():
    space = recommended_space(np.int64(20), np.int32(500), "regression")
    assert set(space) == {"learning_rate", "n_hidden", "n_neurons", "dropout", "l2", "batch_size"}
    assert space["l2"].support() == (1e-5, 1e-1)
    assert space["l2"].median() == pytest.approx(1e-3)
    assert space["dropout"][0] == 0
    assert max(space["dropout"]) < 0.5
    assert space["n_hidden"] == [1, 2]


def test_lengths_of_embeddings_are_recommended_for_tables_that_have_them():
    space = recommended_space(20, 500, "regression", embeds_categories=True)
    assert space.pop("embedding_dim") == int_loguniform(4, 16)
    assert space.keys() == recommended_space(20, 500, "regression").keys()


@pytest.mark.parametrize(
    ("optimizer", "rates"),
    [
        ("sgd", (1e-4, 1)),
        ("SGD", (1e-4, 1)),
        ("adam", (3e-4, 3e-2)),
        ("lion", (3e-5, 3e-3)),
        ("adadelta", (1e-2, 10)),
    ],
)
def test_recommended_rates_are_those_of_the_optimizer(optimizer, rates):
    law = recommended_space(20, 500, "binary", optimizer)["learning_rate"]
    assert law.support() == rates
    assert law.median() == pytest.approx(math.sqrt(rates[0] * rates[1]))


def test_recommended_rates_are_adams_by_default():
    law = recommended_space(20, 500, "binary")["learning_rate"]
    assert law.support() == recommended_space(20, 500, "binary", "adam")["learning_rate"].support()


@pytest.mark.parametrize("name", sorted(known_optimizers()))
def test_the_recommended_space_of_every_optimizer_makes_models(name):
    space = recommended_space(4, 100, "binary", name)
    low, high = space["learning_rate"].support()
    assert low < high
    assert ("weight_decay" in space) == (name in ("adamw", "lion", "muon", "schedulefreeadamw"))
    assert ("l2" in space) != ("weight_decay" in space)
    (params,) = ParameterSampler(space, 1, random_state=0)
    del params["batch_size"]
    assert build_model(**params, input_shape=4, task="binary", optimizer=name).optimizer is not None


def test_recommended_rates_of_an_instance_are_those_of_its_class():
    class Mine(keras.optimizers.SGD):
        pass

    for optimizer in (keras.optimizers.SGD(0.1, momentum=0.9), Mine()):
        assert recommended_space(4, 100, "binary", optimizer)["learning_rate"].support() == (1e-4, 1)
    assert "weight_decay" in recommended_space(4, 100, "binary", keras.optimizers.AdamW())


@pytest.mark.parametrize("optimizer", ["adm", "keras.optimizers.Adam"])
def test_recommended_space_refuses_unknown_optimizers(optimizer):
    match = (
        r"^recommended_space: optimizer must be one of adadelta, .*, sgd, or an instance of one; got "
        + repr(optimizer)
    )
    with pytest.raises(ValueError, match=match):
        recommended_space(4, 100, "binary", optimizer)


def test_recommended_space_refuses_an_optimizer_of_no_known_kind():
    class Mine(keras.optimizers.Optimizer):
        pass

    with pytest.raises(ValueError, match=r"got a Mine\. For others, take the space of the most similar one"):
        recommended_space(4, 100, "binary", Mine(0.1))


@pytest.mark.parametrize("optimizer", [None, 0.1, keras.optimizers.Adam])
def test_recommended_space_refuses_what_is_no_optimizer(optimizer):
    match = (
        r"^recommended_space: optimizer must be a name such as 'adam' or a keras.optimizers.Optimizer, got "
    )
    with pytest.raises(TypeError, match=match + re.escape(repr(optimizer))):
        recommended_space(4, 100, "binary", optimizer)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 11), (3, 50), (100_000, 10**6)])
def test_recommended_space_can_be_sampled_and_zoomed(shape, optimizer):
    space = recommended_space(*shape, "multiclass", optimizer)
    candidates = list(ParameterSampler(space, 50, random_state=0))
    assert candidates == list(ParameterSampler(space, 50, random_state=0))
    assert all(1 <= params["batch_size"] <= max(shape[1], 1) for params in candidates)
    assert {params["dropout"] for params in candidates} == set(space["dropout"])
    results = results_of("p", range(50)) | {"params": candidates}
    narrow = zoom(space, results)
    assert set(narrow) == set(space)
    assert list(ParameterSampler(narrow, 5, random_state=0))


class Smooth(BaseEstimator):
    """Scores best with small rates."""

    def __init__(self, learning_rate=1.0, n_hidden=1, n_neurons=1, dropout=0.0, l2=0.0, batch_size=1):
        self.learning_rate = learning_rate
        self.n_hidden = n_hidden
        self.n_neurons = n_neurons
        self.dropout = dropout
        self.l2 = l2
        self.batch_size = batch_size

    def fit(self, X, y):
        return self

    def score(self, X, y):
        return -self.learning_rate


@pytest.mark.parametrize(
    "search",
    [
        partial(CoarseToFineSearchCV, n_iter=8, n_rounds=2),
        partial(OracleSearchCV, n_trials=6, oracle="random"),
        partial(OracleSearchCV, n_trials=6, oracle="bayesian"),
        partial(OptunaSearchCV, n_trials=6),
        partial(RandomizedSearchCV, n_iter=6),
    ],
)
def test_searches_take_the_recommended_space_as_it_is(search):
    space = recommended_space(4, 150, "regression")
    X, y = np.zeros((10, 4)), np.zeros(10)
    found = search(Smooth(), space, cv=2, random_state=0, refit=False).fit(X, y)
    candidates = found.cv_results_["params"]
    assert all(set(params) == set(space) for params in candidates)
    for params in candidates:
        for name, values in space.items():
            low, high = (min(values), max(values)) if isinstance(values, list) else values.support()
            assert low <= params[name] <= high
    assert len({params["learning_rate"] for params in candidates}) == len(candidates)


def test_recommended_space_is_fresh_each_time():
    for name in ("n_hidden", "dropout", "batch_size"):
        space = recommended_space(20, 500, "binary")
        space[name].append(9)
        assert recommended_space(20, 500, "binary")[name] == space[name][:-1]


@pytest.mark.parametrize("name", ["n_features", "n_samples"])
def test_recommended_space_refuses_sizes(name):
    sizes = {"n_features": 4, "n_samples": 4}
    with pytest.raises(ValueError, match=rf"^recommended_space: {name} must be 1 or more, got 0$"):
        recommended_space(**(sizes | {name: 0}), task="binary")
    match = rf"^recommended_space: {name} must be an integer such as 16, got 4.0 \(float\)$"
    with pytest.raises(TypeError, match=match):
        recommended_space(**(sizes | {name: 4.0}), task="binary")


@pytest.mark.parametrize("task", ["classification", None, ["binary"]])
def test_recommended_space_refuses_tasks(task):
    match = (
        r"^recommended_space: task must be one of regression, binary, multiclass, multilabel; got "
        + re.escape(repr(task))
    )
    with pytest.raises(ValueError, match=match):
        recommended_space(4, 100, task)


# zoom: numbers


@pytest.mark.parametrize("kind", [loguniform, reciprocal])
def test_zoom_loguniform(kind):
    narrow = zoom_one(kind(1e-4, 1), [1e-2], 0.5)
    assert narrow.dist.name == kind.name
    assert narrow.support() == pytest.approx((1e-3, 1e-1))
    assert narrow.median() == pytest.approx(1e-2)


@pytest.mark.parametrize("shrink", [0.1, 0.25, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("best", [1e-4, 2e-4, 3e-3, 1.0])
def test_zoom_loguniform_ratio_and_bounds(best, shrink):
    old = loguniform(1e-4, 1)
    narrow = zoom_one(old, [best], shrink)
    assert log_width(narrow) == pytest.approx(shrink * log_width(old))
    low, high = narrow.support()
    assert 1e-4 <= low <= best <= high <= 1


def test_zoom_loguniform_with_scale_and_shift():
    narrow = zoom_one(loguniform(1, 100, scale=1e-3), [1e-2])
    assert narrow.support() == pytest.approx((10**-2.5, 10**-1.5))
    match = (
        r"^zoom: cannot narrow parameter 'p', got loguniform shifted by loc; supported are SciPy's loguniform"
    )
    with pytest.raises(TypeError, match=match):
        zoom_one(loguniform(1, 100, loc=5), [10])


@pytest.mark.parametrize(("best", "ends"), [(0.3, (0.2, 0.4)), (0.1, (0.1, 0.3)), (0.49, (0.3, 0.5))])
def test_zoom_uniform(best, ends):
    narrow = zoom_one(uniform(0.1, 0.4), [best])
    assert narrow.dist.name == "uniform"
    assert narrow.support() == pytest.approx(ends)


def test_zoom_uniform_never_passes_its_bounds():
    rng = np.random.default_rng(0)
    for low, width, u, shrink in zip(
        rng.normal(size=300),
        rng.exponential(size=300),
        rng.random(300),
        rng.uniform(0.01, 1, 300),
        strict=True,
    ):
        old = uniform(low, width)
        new_low, new_high = zoom_one(old, [low + u * width], shrink).support()
        assert old.support()[0] <= new_low < new_high <= old.support()[1]


@pytest.mark.parametrize("shrink", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("best", [0.9, 0.99, 0.999])
def test_zoom_one_minus_loguniform(best, shrink):
    narrow = zoom_one(one_minus_loguniform(0.9, 0.999), [best], shrink)
    assert isinstance(narrow, one_minus_loguniform)
    assert 0.9 <= narrow.low <= best <= narrow.high <= 0.999
    assert math.log((1 - narrow.low) / (1 - narrow.high)) == pytest.approx(shrink * math.log(100))
    if best == 0.99:
        assert narrow.ppf(0.5) == pytest.approx(0.99)


@pytest.mark.parametrize(
    ("best", "shrink", "ends"),
    [(100, 0.5, (32, 317)), (10, 0.5, (10, 99)), (1000, 0.5, (100, 1000)), (100, 1.0, (10, 1000))],
)
def test_zoom_int_loguniform(best, shrink, ends):
    assert zoom_one(int_loguniform(10, 1000), [best], shrink) == int_loguniform(*ends)


@pytest.mark.parametrize("best", range(1, 31))
def test_zoom_int_loguniform_keeps_best_bounds_and_two_values(best):
    for shrink in (0.01, 0.1, 0.3, 0.7):
        narrow = zoom_one(int_loguniform(1, 30), [best], shrink)
        assert 1 <= narrow.low <= best <= narrow.high <= 30
        width = math.log((narrow.high + 1) / narrow.low)
        slack = math.log((narrow.low + 2) / narrow.low)  # whole numbers
        assert abs(width - shrink * math.log(31)) < slack + 0.1


@pytest.mark.parametrize(
    ("best", "shrink", "values"),
    [
        (5, 0.5, (3, 7)),
        (0, 0.5, (0, 4)),
        (9, 0.5, (5, 9)),
        (5, 0.01, (5, 5)),
        (5, 1.0, (0, 9)),
        (99, 0.2, (8, 9)),
    ],
)
def test_zoom_randint(best, shrink, values):
    narrow = zoom_one(randint(0, 10), [best], shrink)
    assert narrow.dist.name == "randint"
    assert narrow.support() == values
    draws = narrow.rvs(size=300, random_state=0)
    assert (draws.min(), draws.max()) == values


def test_zoom_randint_with_loc_and_single_value():
    assert zoom_one(randint(0, 10, loc=100), [105]).support() == (103, 107)
    assert zoom_one(randint(3, 4), [3]).support() == (3, 3)


@pytest.mark.parametrize(
    ("choices", "best", "shrink", "kept"),
    [
        ([0, 1, 2, 3], 2, 0.5, [1, 2]),
        ([0, 1, 2, 3], 0, 0.5, [0, 1]),
        ([0, 1, 2, 3], 3, 0.5, [2, 3]),
        ([0.1, 0.2, 0.3, 0.4, 0.5], 0.4, 0.5, [0.3, 0.4, 0.5]),
        ([0.1, 0.2, 0.3, 0.4, 0.5], 0.4, 0.2, [0.4]),
        ([8, 4, 2, 1], 4, 0.5, [4, 2]),
        ([100, 10, 1000], 10, 0.67, [100, 10]),
        ([16, 32], 32, 0.5, [32]),
        ([16, 32, 64], 32, 1.0, [16, 32, 64]),
        ((1, 2, 3, 4), 3, 0.25, [3]),
        (range(10), 5, 0.3, [4, 5, 6]),
        (np.array([1e-3, 1e-2, 1e-1]), 1e-2, 0.3, [1e-2]),
        ([10, 20, 30, 40], 31, 0.25, [30]),
    ],
)
def test_zoom_lists_of_numbers(choices, best, shrink, kept):
    narrow = zoom_one(choices, [best], shrink)
    assert isinstance(narrow, list)
    assert narrow == kept


# zoom: categories


def tanh_like(x):
    return x


@pytest.mark.parametrize(
    ("choices", "values", "kept"),
    [
        (["relu", "elu", "selu", "tanh"], ["tanh", "elu", "tanh", "relu"], ["elu", "tanh"]),
        ([True, False], [False, False, False, True], [False]),
        ([None, 0.5, 1.0], [1.0, None, None], [None, 1.0]),
        ([tanh_like, abs, len], [len, tanh_like, len], [tanh_like, len]),
        ([(64,), (64, 32), (128,)], [(64, 32)] * 3, [(64, 32)]),
        (np.array(["adam", "sgd"]), ["sgd"], ["sgd"]),
    ],
)
def test_zoom_categories_keeps_the_best_ones_in_order(choices, values, kept):
    assert zoom_one(choices, values, 0.1) == kept


def test_zoom_fixed_values_stay():
    assert zoom_one(["relu"], ["relu"]) == ["relu"]
    assert zoom_one([32], [32]) == [32]
    fixed = [np.zeros(3)]
    assert zoom_one(fixed, fixed)[0] is fixed[0]


# zoom: the centre and the candidates


def test_zoom_centres_on_the_median_of_the_best():
    values = [1e-3, 1e-1, 1e-2, 1.0, 1.0]
    assert zoom_one(loguniform(1e-4, 1), values, 0.1).median() == pytest.approx(1e-2)
    assert zoom_one(loguniform(1e-4, 1), values, 0.1, n_best=1).median() == pytest.approx(1e-3)
    assert zoom_one(loguniform(1e-4, 1), values, 0.1, n_best=2).median() == pytest.approx(1e-2)
    assert zoom_one(loguniform(1e-4, 1), values, 0.1, n_best=99).median() == pytest.approx(1e-1)


def test_zoom_reads_the_ranks_not_the_order():
    results = results_of("p", [1e-3, 1e-2, 1e-1], scores=[0.1, 0.9, 0.5])
    assert zoom({"p": loguniform(1e-4, 1)}, results, 0.1, n_best=1)["p"].median() == pytest.approx(1e-2)


def test_zoom_ignores_failed_candidates():
    results = results_of("p", [1e-4, 1e-2, 1e-2, 1.0], scores=[np.nan, 0.9, 0.8, -np.inf])
    results["rank_test_score"] = np.array([1, 2, 3, 4])  # even if a failed one is ranked first
    assert zoom({"p": loguniform(1e-4, 1)}, results, 0.5)["p"].support() == pytest.approx((1e-3, 1e-1))


def test_zoom_ignores_candidates_without_the_parameter():
    results = results_of("momentum", [0.9, 0.99, 0.99, 0.99])
    results["params"][0] = {"optimizer": "adam"}
    narrow = zoom({"momentum": one_minus_loguniform(0.9, 0.999)}, results)
    assert narrow["momentum"].ppf(0.5) == pytest.approx(0.99)


def test_zoom_shrinks_again_and_stays_within_the_first_bounds():
    space, best = {"lr": loguniform(1e-4, 1), "n": int_loguniform(1, 1000), "m": uniform(0, 1)}, []
    params = {"lr": 0.5, "n": 900, "m": 0.02}
    results = results_of("p", [0]) | {"params": [params]}
    for turn in range(1, 5):
        space = zoom(space, results, 0.5)
        assert log_width(space["lr"]) == pytest.approx(math.log(1e4) / 2**turn)
        assert math.log((space["n"].high + 1) / space["n"].low) == pytest.approx(
            math.log(1001) / 2**turn, rel=0.02
        )
        low, high = space["m"].support()
        assert high - low == pytest.approx(0.5**turn)
        assert 0 <= low <= 0.02 <= high <= 1
        best.append(space["n"])
        assert space["n"].low <= 900 <= space["n"].high <= 1000
        assert space["lr"].support()[1] <= 1
    assert len(set(best)) == 4


def test_zoom_again_reaches_a_fixed_point_in_counts():
    for dist, end in (
        (randint(0, 100), (42, 42)),
        (int_loguniform(1, 100), (42, 43)),
    ):
        for _ in range(12):
            dist = zoom_one(dist, [42])
        low, high = dist.support()
        assert low <= 42 <= high
        assert high - low == end[1] - end[0]


def test_zoom_with_shrink_1_keeps_the_ranges():
    assert zoom_one(one_minus_loguniform(0.9, 0.999), [0.95], 1) == one_minus_loguniform(0.9, 0.999)
    assert zoom_one(int_loguniform(3, 77), [5], 1) == int_loguniform(3, 77)
    assert zoom_one(loguniform(1e-4, 1), [0.5], 1).support() == (1e-4, 1)


def test_zoom_leaves_its_arguments_alone():
    space = {"a": ["x", "y"], "b": int_loguniform(1, 9)}
    results = results_of("a", ["x", "y"])
    results["params"] = [{"a": "x", "b": 3}, {"a": "x", "b": 4}]
    before = copy.deepcopy((space, results["params"]))
    assert zoom(space, results)["a"] == ["x"]
    assert (space, results["params"]) == before
    assert zoom({}, results) == {}


def test_zoom_takes_a_fitted_search_and_prefixed_names():
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = (X[:, 0] > 0).astype(int)
    space = {
        "sgdclassifier__alpha": loguniform(1e-5, 1e-1),
        "sgdclassifier__penalty": ["l1", "l2", None],
        "sgdclassifier__max_iter": int_loguniform(1000, 3000),
    }
    pipeline = make_pipeline(StandardScaler(), SGDClassifier(random_state=0))
    search = RandomizedSearchCV(pipeline, space, n_iter=6, cv=2, random_state=0).fit(X, y)
    narrow = zoom(space, search)
    assert set(narrow) == set(space)
    assert log_width(narrow["sgdclassifier__alpha"]) == pytest.approx(math.log(1e4) / 2)
    from_results = zoom(space, search.cv_results_)
    assert from_results["sgdclassifier__max_iter"] == narrow["sgdclassifier__max_iter"]
    again = RandomizedSearchCV(pipeline, narrow, n_iter=3, cv=2, random_state=0).fit(X, y)
    low, high = narrow["sgdclassifier__alpha"].support()
    assert all(low <= params["sgdclassifier__alpha"] <= high for params in again.cv_results_["params"])


def test_zoom_takes_a_data_frame_of_results():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(results_of("p", [1e-2, 1e-2]))
    assert zoom({"p": loguniform(1e-4, 1)}, frame)["p"].support() == pytest.approx((1e-3, 1e-1))


# zoom: errors


@pytest.mark.parametrize("shrink", [0, -0.5, 1.5, math.nan])
def test_zoom_refuses_shrink_out_of_range(shrink):
    with pytest.raises(
        ValueError, match=rf"^zoom: shrink must be in \(0, 1\], got {float(shrink)!r}; 0.5 halves"
    ):
        zoom_one(uniform(0, 1), [0.5], shrink)


def test_zoom_refuses_wrong_types():
    with pytest.raises(TypeError, match=r"^zoom: shrink must be a number such as 0.9, got '0.5' \(str\)$"):
        zoom_one(uniform(0, 1), [0.5], "0.5")
    with pytest.raises(TypeError, match=r"^zoom: n_best must be an integer such as 16, got 2.0 \(float\)$"):
        zoom_one(uniform(0, 1), [0.5], n_best=2.0)
    with pytest.raises(ValueError, match=r"^zoom: n_best must be 1 or more, got 0$"):
        zoom_one(uniform(0, 1), [0.5], n_best=0)
    with pytest.raises(
        TypeError, match=r"^zoom: space must be a dict .*, got list; for a list of spaces, call zoom"
    ):
        zoom([{"p": uniform(0, 1)}], results_of("p", [0.5]))


def test_zoom_refuses_results_without_scores():
    space = {"p": uniform(0, 1)}
    unfitted = GridSearchCV(DummyClassifier(), {"strategy": ["prior"]})
    for results, kind in ((unfitted, "GridSearchCV"), (None, "NoneType")):
        match = (
            rf"^zoom: results must be cv_results_ or a fitted search that has it, got {kind}; fit the search"
        )
        with pytest.raises(TypeError, match=match):
            zoom(space, results)
    several_metrics = {"params": [{"p": 0.5}], "rank_test_f1": [1], "mean_test_f1": [0.5]}
    match = r"missing rank_test_score, mean_test_score\. With several metrics, copy rank_test_<metric>"
    with pytest.raises(ValueError, match=match):
        zoom(space, several_metrics)
    match = r"^zoom: none of the 2 candidates in results has a finite mean_test_score; .*error_score='raise'"
    with pytest.raises(ValueError, match=match):
        zoom(space, results_of("p", [0.1, 0.2], scores=[np.nan, np.nan]))


def test_zoom_refuses_an_unknown_parameter():
    match = (
        r"^zoom: no candidate with a finite score has the parameter 'lr'; they have \['mlp__lr'\]\. Name it"
    )
    with pytest.raises(ValueError, match=match):
        zoom({"lr": loguniform(1e-4, 1)}, results_of("mlp__lr", [0.1]))


@pytest.mark.parametrize(
    ("dist", "received"),
    [
        (norm(0, 1), "norm"),
        ("relu", "'relu'"),
        (0.5, "0.5"),
        (uniform, "<scipy"),
        (uniform([0, 1], [1, 2]), "uniform on [[0. 1.], [1. 3.]]"),
        (loguniform(2, 1), "loguniform on [nan, nan]"),
        (np.zeros((2, 2)), "an array of shape (2, 2)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_zoom_refuses_what_it_cannot_narrow(dist, received):
    match = (
        rf"^zoom: cannot narrow parameter 'p', got {re.escape(received)}.*; supported are SciPy's loguniform"
    )
    with pytest.raises(TypeError, match=match):
        zoom_one(dist, [0.5])


@pytest.mark.parametrize(
    "dist", [loguniform(1e-4, 1), randint(0, 9), int_loguniform(1, 9), [1, 2]], ids=lambda d: type(d).__name__
)
@pytest.mark.parametrize("value", ["a", None, True, math.nan])
def test_zoom_refuses_candidates_that_are_no_numbers(dist, value):
    match = rf"^zoom: parameter 'p' must be a finite number in results, as in space; got {value!r}\. Pass the"
    with pytest.raises(TypeError, match=match):
        zoom_one(dist, [value])


def test_zoom_refuses_lists_it_cannot_place():
    with pytest.raises(
        ValueError, match=r"^zoom: the list of parameter 'p' is empty; give it at least one value$"
    ):
        zoom_one([], [1])
    match = (
        r"^zoom: parameter 'p' is one of \['a', 'b'\] in space but \['c'\] in the best candidates; pass the"
    )
    with pytest.raises(ValueError, match=match):
        zoom_one(["a", "b"], ["c"])


@pytest.mark.parametrize("dist", [loguniform(1e-4, 1), uniform(0.1, 0.4), one_minus_loguniform(0.1, 0.9)])
def test_zoom_refuses_to_shrink_to_nothing(dist):
    match = (
        r"^zoom: parameter 'p' cannot be narrowed further: \[0\.\d+, 0\.\d+\] is as narrow as floats allow"
    )
    with pytest.raises(ValueError, match=match):
        zoom_one(dist, [0.3], 1e-30)
