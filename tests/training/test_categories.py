"""Members with other categories and other embeddings end with what each ends with by itself."""

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from kerashp import build_model, fit
from kerashp.layers import CategoricalColumns
from kerashp.layers._categorical_columns import ColumnSizes
from kerashp.models import NetworkDesign
from kerashp.training import Member, Population, Room, graph_shape, isolated, roomier, units_of
from kerashp.training._stacking.padding import paddable_layers

N_ROWS = 100
DEFAULTS = {name: p.default for name, p in inspect.signature(build_model).parameters.items()}
RNG = np.random.default_rng(0)
X = np.column_stack(
    [
        RNG.normal(size=(N_ROWS, 2)),
        RNG.integers(-1, 3, N_ROWS),
        RNG.integers(-1, 12, N_ROWS),
        RNG.integers(12, 20, N_ROWS),
    ]
).astype("float32")
Y = (X[:, 0] + X[:, 2] + X[:, 3] / 10)[:, None]


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a few members would be in a block each, and nothing stacked."""
    monkeypatch.setattr("kerashp.training._population.n_cores", lambda: 1)


def network(n_one_hot: int, n_embedded: int, dimension: int, n_neurons: int = 5, **options: Any) -> Any:
    columns = ColumnSizes(2, 0, 1, n_one_hot, 2, n_embedded, dimension)
    changed = {"input_shape": (5,), "n_neurons": n_neurons, "normalize": np.zeros((1, 5)), "l2": 1e-3}
    changed |= {"optimizer": "adamw", "learning_rate": 0.01}
    with isolated(seed=n_embedded):
        return NetworkDesign.of(**{**DEFAULTS, **changed, **options}, columns=columns).build()


def members(**options: Any) -> list[Any]:
    return [
        network(3, 20, 4, **options),
        network(5, 31, 2, n_neurons=7, learning_rate=0.02, **options),
        network(4, 25, 3, n_neurons=6, n_hidden=2, **options),
    ]


@pytest.mark.parametrize(
    "options", [{}, {"input_scale_rate": 3.0, "parametrization": "ntk"}], ids=["plain", "scales"]
)
@pytest.mark.parametrize("has_room", [False, True])
def test_members_of_other_vocabularies_train_as_alone(options: dict[str, Any], has_room: bool) -> None:
    together = [Member(model, random_state=0) for model in members(**options)]
    assert len({graph_shape(member.model) for member in together}) == 1
    exact = Room.of([member.units for member in together], 3)
    room = roomier(together[2].model, exact) if has_room else None
    assert room is None or room.units[:3] == (6, 32, 4)
    population = Population(together, X, Y, batch_size=16, room=room)
    population.train(3)
    for index, model in enumerate(members(**options)):
        with isolated(seed=0):
            fit(model, X, Y, 16, 3, 0, fallback="error")
        trained = population.write(index)
        for ours, alone in zip(trained.get_weights(), model.get_weights(), strict=True):
            assert ours.shape == alone.shape
            np.testing.assert_allclose(ours, alone, rtol=1e-5, atol=1e-5 * np.abs(alone).max())


def test_widths_of_categories_come_before_those_of_dense_layers() -> None:
    model = network(3, 20, 4)
    assert units_of(model) == (3, 20, 4, 5, 1)
    assert paddable_layers(model) == ["categorical_columns", "hidden_1"]
    assert roomier(model, Room.of([units_of(model)], 1)).spare == (True, True, True, True, False)


def test_tables_without_embeddings_and_with_embeddings_have_one_graph_shape() -> None:
    columns = ColumnSizes(4, 0, 1, 3)
    without = NetworkDesign.of(**DEFAULTS | {"input_shape": (5,)}, columns=columns).build()
    assert units_of(without)[:3] == (3, 0, 0)
    assert graph_shape(without) == graph_shape(network(3, 20, 4, normalize=None, l2=0.0, optimizer="sgd"))
    assert roomier(without, Room.of([units_of(without)], 1)).units[:3] == (3, 0, 0)


def stack(*others: Any) -> Any:
    model = keras.Sequential(
        [
            layers.Input((5,)),
            CategoricalColumns(1, 3, 2, 20, 4, name="columns"),
            *others,
            layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    return model


AFTER: dict[str, tuple[Callable[[], Any], bool]] = {
    "a dense layer": (lambda: layers.Dense(3), True),
    "a scale": (lambda: layers.Rescaling(2.0), False),
    "a normalization": (layers.Normalization, False),
    "dropout": (lambda: layers.Dropout(0.2), False),
}


@pytest.mark.parametrize("name", AFTER)
def test_categories_are_padded_in_front_of_dense_layers_alone(name: str) -> None:
    make, is_padded = AFTER[name]
    model = stack(make(), layers.Dense(2))
    assert ("columns" in paddable_layers(model)) == is_padded
