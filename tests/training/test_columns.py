"""Members whose inputs have other columns end with what each ends with by itself."""

import inspect
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from kerashp import build_model, fit
from kerashp.layers import CategoricalColumns, PeriodicEmbedding, RobustScaling
from kerashp.layers._categorical_columns import ColumnSizes
from kerashp.models import NetworkDesign
from kerashp.training import Member, Population, Room, graph_shape, isolated, units_of
from kerashp.training._stacking.columns import columns_of, rows_with_columns

N_ROWS = 60
DEFAULTS = {name: p.default for name, p in inspect.signature(build_model).parameters.items()}
RNG = np.random.default_rng(0)

# Indicators, one-hot columns and embedded ones of the tables of three members.
SIZES = [
    ColumnSizes(3, 0, 2, 5, 2, 20, 4),
    ColumnSizes(3, 2, 1, 3, 3, 28, 3),
    ColumnSizes(2, 1, 3, 7, 0, 0, 0),
]
OF_NUMBERS = [ColumnSizes(3), ColumnSizes(3, 2), ColumnSizes(3, 1)]


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a few members would be in a block each, and nothing stacked."""
    monkeypatch.setattr("kerashp.training._population.n_cores", lambda: 1)


def rows(sizes: ColumnSizes) -> np.ndarray:
    """An encoded table, in which numbers are neither scaled nor centred."""
    rng = np.random.default_rng(sizes.n_columns)
    codes = [
        rng.integers(-1, count, (N_ROWS, n_columns))
        for n_columns, count in (
            (sizes.n_one_hot, sizes.n_one_hot_categories),
            (sizes.n_embedded, sizes.n_embedded_categories),
        )
        if n_columns
    ]
    numbers = 3 + 2 * rng.normal(size=(N_ROWS, sizes.n_numbers))
    indicators = rng.random((N_ROWS, sizes.n_indicators)) < 0.2
    return np.hstack([numbers, indicators, *codes]).astype("float32")


Y = RNG.normal(size=(N_ROWS, 1)).astype("float32")


def network(sizes: ColumnSizes, **options: Any) -> Any:
    own = rows(sizes)
    changed = {"input_shape": own.shape[1:], "n_neurons": 5, "normalize": own, "optimizer": "adamw"}
    changed |= {"learning_rate": 0.01, "weight_decay": 0.01, "l1": 1e-3, "l2": 1e-3}
    columns = None if sizes == ColumnSizes(3) else sizes
    with isolated(seed=own.shape[1]):
        return NetworkDesign.of(**{**DEFAULTS, **changed, **options}, columns=columns).build()


OPTIONS: dict[str, dict[str, Any]] = {
    "scaled": {},
    "not scaled": {"normalize": None, "clipnorm": 0.1, "optimizer": "nadam"},
    "robust": {"scaling": "robust", "input_scale_rate": 3.0, "parametrization": "ntk"},
    "periodic": {"scaling": "robust", "numeric_embedding": "periodic", "clipnorm": 0.1},
    "piecewise": {
        "numeric_embedding": "piecewise",
        "embedding_bins": 4,
        "input_scale_rate": 3.0,
        "parametrization": "ntk",
    },
    "normalized": {"batch_normalization": True, "dropout": 0.2},
    "heads": {"heads": 2, "scaling": "robust"},
    "linear": {"n_hidden": 0, "optimizer": "sgd", "weight_decay": None},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_members_with_other_columns_train_as_alone(name: str) -> None:
    sizes = OF_NUMBERS if name in ("piecewise", "normalized") else SIZES
    models = [network(own, **OPTIONS[name]) for own in sizes]
    assert len(set(map(graph_shape, models))) == 1
    columns = list(map(columns_of, models))
    room = Room.of(list(map(units_of, models)), 3, columns=columns)
    pairs = zip(sizes, columns, strict=True)
    x = np.concatenate([rows_with_columns(rows(own), kinds, room.columns) for own, kinds in pairs])
    portions = np.arange(len(x)).reshape(3, N_ROWS)
    members = [Member(model, portions[index], random_state=0) for index, model in enumerate(models)]
    population = Population(members, x, np.tile(Y, (3, 1)), batch_size=20, room=room)
    population.train(2)
    for index, own in enumerate(sizes):
        alone = network(own, **OPTIONS[name])
        with isolated(seed=0):
            fit(alone, rows(own), Y, 20, 2, 0, fallback="error")
        trained = population.write(index)
        for ours, theirs in zip(trained.get_weights(), alone.get_weights(), strict=True):
            assert ours.shape == theirs.shape
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
        predicted = population.predict(x[portions[index]], [index])[0]
        expected = keras.ops.convert_to_numpy(alone(rows(own), training=False))
        np.testing.assert_allclose(predicted, expected, rtol=1e-5, atol=1e-5)


def stack(*front: Any) -> Any:
    model = keras.Sequential([layers.Input((5,)), *front, layers.Dense(3), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


FRONTS: dict[str, tuple[list[Any], tuple[int, ...]]] = {
    "nothing": ([], (0, 5, 0, 0)),
    "scaled numbers": ([RobustScaling(n_numbers=2)], (2, 3, 0, 0)),
    "scaled columns": ([RobustScaling()], (5, 0, 0, 0)),
    "categories": ([RobustScaling(n_numbers=2), CategoricalColumns(1, 3, 1, 12, 2)], (2, 1, 1, 1)),
    "other numbers": ([RobustScaling(n_numbers=2), PeriodicEmbedding(n_numbers=3)], ()),
    "scaled codes": ([RobustScaling(), CategoricalColumns(1, 3)], ()),
    "given means": ([layers.Normalization(mean=0.0, variance=1.0)], ()),
    "dropout": ([layers.Dropout(0.1)], ()),
    "a layer of rows": ([layers.UnitNormalization()], ()),
}


@pytest.mark.parametrize("name", FRONTS)
def test_columns_of_models(name: str) -> None:
    front, expected = FRONTS[name]
    assert columns_of(stack(*front)) == expected


def test_columns_of_functional_models() -> None:
    one, other = keras.Input((5,)), keras.Input((5,))
    in_a_row = layers.Dense(1)(layers.Dense(3)(one))
    branches = [layers.Dense(3)(other), layers.Rescaling(2.0)(other)]
    in_branches = layers.Dense(1)(layers.Concatenate()(branches))
    models = [keras.Model(one, in_a_row), keras.Model(other, in_branches)]
    for model in models:
        model.compile("sgd", "mse")
    assert list(map(columns_of, models)) == [(0, 5, 0, 0), ()]


def test_a_room_without_these_columns_is_refused() -> None:
    models = [build_model(1, 4, input_shape=n) for n in (3, 5)]
    members = [Member(model) for model in models]
    x, y = np.zeros((20, 5), "float32"), np.zeros((20, 1), "float32")
    for columns in ((), (0, 4, 0, 0)):
        room = Room(2, (4, 1), (False, False), columns=columns, spare_columns=bool(columns))
        with pytest.raises(ValueError, match=r"room.columns must be the most columns of each kind"):
            Population(members, x, y, room=room)
