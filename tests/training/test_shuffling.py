"""Members of equal seed and number of rows share orders, and each has those of its own generator."""

from typing import Any

import numpy as np
import pytest
from sklearn.utils import check_random_state

from kerashp import build_model
from kerashp.training import Member, Population
from kerashp.training._members.shuffling import MemberShuffle, Shuffle, generators_of, state_of

ROWS = np.arange(100, 140, dtype=np.int32)
N_ORDERS = 5


def members(*seeds: Any) -> list[Member]:
    return [Member(None, random_state=seed) for seed in seeds]


def orders(generator: Any, rows: np.ndarray = ROWS) -> np.ndarray:
    return np.array([generator.permutation(rows) for _ in range(N_ORDERS)])


def test_members_have_the_orders_of_their_seeds() -> None:
    other_rows = ROWS[::-1] + 7
    first, second, shorter, other = generators_of(members(3, np.int64(3), 3, 4), [40, 40, 30, 40])
    assert [type(each) for each in (first, second)] == [MemberShuffle] * 2
    assert {type(each) for each in (shorter, other)} == {np.random.RandomState}
    for generator, seed, rows in [
        (first, 3, ROWS),
        (second, 3, other_rows),
        (shorter, 3, ROWS[:30]),
        (other, 4, ROWS),
    ]:
        np.testing.assert_array_equal(orders(generator, rows), orders(np.random.RandomState(seed), rows))


@pytest.mark.parametrize("most_bytes", [0, 2 * ROWS.nbytes, 2**20])
def test_orders_that_are_not_kept_are_drawn_again(most_bytes: int) -> None:
    shuffle = Shuffle(check_random_state(3), len(ROWS), most_bytes)
    first, second, third = [MemberShuffle(shuffle) for _ in range(3)]
    expected = orders(np.random.RandomState(3))
    np.testing.assert_array_equal(orders(first), expected)
    for order in expected:  # in turn
        np.testing.assert_array_equal(second.permutation(ROWS), order)
        np.testing.assert_array_equal(third.permutation(ROWS), order)


def test_the_state_is_that_of_the_members_own_generator() -> None:
    first, second = generators_of(members(3, 3), [40, 40])
    orders(first)
    own = np.random.RandomState(3)
    for _ in range(2):
        second.permutation(ROWS)
        own.permutation(ROWS)
    goes_on = np.random.RandomState()
    goes_on.set_state(state_of(second))
    np.testing.assert_array_equal(orders(goes_on), orders(own))
    np.testing.assert_array_equal(second.permutation(ROWS), orders(np.random.RandomState(3))[2])


def test_generators_and_no_seeds_are_not_shared() -> None:
    given = np.random.default_rng(0)
    generators = generators_of(members(None, None, given, given), [40] * 4)
    none, other, first, second = map(orders, generators)
    assert (none != other).any()
    np.testing.assert_array_equal(first, second)  # each has a copy
    np.testing.assert_array_equal(first, orders(np.random.default_rng(0)))


def test_members_of_one_seed_train_and_pause_as_alone() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
    y = X.sum(axis=1, keepdims=True)
    model, folds = build_model(1, 4, input_shape=3), np.arange(60).reshape(3, 20)
    together = [
        Member(model, np.delete(folds, fold, axis=0).ravel(), random_state=1, epochs=epochs)
        for fold, epochs in enumerate((2, 4, 3))
    ]
    population = Population(together, X, y, batch_size=8, blocks_at_a_time=2)
    trained = population.train(4)
    for index, member in enumerate(together):
        alone = Population([member], X, y, batch_size=8)
        np.testing.assert_allclose(
            trained[index].history["loss"], alone.train(4)[0].history["loss"], rtol=1e-5, atol=1e-6
        )
        order, of_alone = population.paused(index).order, alone.paused(0).order
        assert order is not None
        assert of_alone is not None
        assert order["state"]["pos"] == of_alone["state"]["pos"]
        np.testing.assert_array_equal(order["state"]["key"], of_alone["state"]["key"])
