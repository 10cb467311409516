"""Callbacks that guide a training: under `Model.fit`, under `kerashp.fit` and in populations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kerashp import build_model, fit
from kerashp.callbacks import CosineRestarts, LearningRateCallback, LearningRateWarmup, StepDrop
from kerashp.training import FallbackWarning, Member, Population

N_ROWS, SIZE, STEPS = 70, 16, 5  # the last batch is short
rng = np.random.default_rng(0)
X = rng.normal(size=(N_ROWS, 3)).astype("float32")
Y = X[:, 0] - X[:, 1] ** 2

CALLBACKS: dict[str, Callable[[], Any]] = {
    "warm-up": lambda: LearningRateWarmup(3.5, start=0.001),
    "restarts": lambda: CosineRestarts(1, t_mul=1.5, m_mul=0.8, alpha=0.1, warmup_epochs=0.5),
    "drops": lambda: StepDrop(0.5, every_epochs=0.8, minimum=0.01),
}
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.5),
    "adam": lambda: keras.optimizers.Adam(0.02, weight_decay=0.01),
    "accumulating": lambda: keras.optimizers.SGD(0.05, gradient_accumulation_steps=2),
    "average": lambda: keras.optimizers.RMSprop(0.03, use_ema=True),
}


class Watching(keras.callbacks.Callback):
    """Notes the rate of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.rates: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.rates.append(float(self.model.optimizer.learning_rate))


def model(optimizer: Any = None, seed: int = 0, n_neurons: int = 4) -> Any:
    keras.utils.set_random_seed(seed)
    optimizer = OPTIMIZERS["sgd"]() if optimizer is None else optimizer
    return build_model(1, n_neurons, learning_rate=None, input_shape=(3,), optimizer=optimizer)


def trained(
    train: Callable[..., Any], network: Any, callbacks: list[Any], **options: Any
) -> list[np.ndarray]:
    keras.utils.set_random_seed(1)
    given = {"epochs": 4, "batch_size": SIZE, "shuffle": False, "verbose": 0}
    train(network, X, Y, callbacks=callbacks, **(given | options))
    return [*network.get_weights(), np.asarray(float(network.optimizer.learning_rate))]


@pytest.mark.parametrize("name", CALLBACKS)
def test_each_step_has_the_rate_of_the_schedule(name: str) -> None:
    watching, callback = Watching(), CALLBACKS[name]()
    trained(keras.Model.fit, model(), [callback, watching])
    schedule = callback.schedule(0.05, STEPS)
    np.testing.assert_allclose(
        watching.rates, [float(schedule(step)) for step in range(4 * STEPS)], rtol=1e-6
    )
    assert len(set(watching.rates)) > 3


@pytest.mark.parametrize(
    ("name", "optimizer", "options"),
    [
        *[(name, "sgd", options) for name in CALLBACKS for options in ({}, {"initial_epoch": 2})],
        *[("restarts", optimizer, {"validation_split": 0.2}) for optimizer in OPTIMIZERS],
    ],
    ids=str,
)
def test_compiled_training_gives_the_numbers_of_keras(
    name: str, optimizer: str, options: dict[str, Any]
) -> None:
    ours = trained(fit, model(OPTIMIZERS[optimizer]()), [CALLBACKS[name]()], fallback="error", **options)
    by_keras = trained(keras.Model.fit, model(OPTIMIZERS[optimizer]()), [CALLBACKS[name]()], **options)
    for one, other in zip(ours, by_keras, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


class Centred(keras.layers.Layer):
    """Looks at the whole batch, so that a short last one is trained by itself."""

    def call(self, x: Any) -> Any:
        return x - keras.ops.mean(x, axis=0, keepdims=True)


def test_a_last_batch_by_itself_has_its_rate() -> None:
    ends = []
    for train, options in ((fit, {"fallback": "error"}), (keras.Model.fit, {})):
        keras.utils.set_random_seed(0)
        layers = [keras.Input((3,)), keras.layers.Dense(4), Centred(), keras.layers.Dense(1)]
        network = keras.Sequential(layers)
        network.compile(keras.optimizers.SGD(0.05), "mse")
        ends.append(trained(train, network, [LearningRateWarmup(2.5)], **options))
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_schedule_makes_a_difference() -> None:
    weights = [
        trained(fit, model(), callbacks)[0] for callbacks in ([], *[[make()] for make in CALLBACKS.values()])
    ]
    for index, one in enumerate(weights):
        assert all(np.abs(one - other).max() > 1e-4 for other in weights[:index])


@pytest.mark.parametrize("name", CALLBACKS)
def test_the_optimizer_has_its_rate_again_afterwards(name: str) -> None:
    for train in (fit, keras.Model.fit):
        assert trained(train, model(), [CALLBACKS[name]()])[-1] == np.float32(0.05)


class Killed(Exception):
    pass


class Killing(keras.callbacks.Callback):
    """Breaks a training off before an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.epoch:
            raise Killed


@pytest.mark.parametrize("train", [fit, keras.Model.fit], ids=["ours", "by Keras"])
@pytest.mark.parametrize("first", [True, False], ids=["restores first", "restores last"])
@pytest.mark.parametrize("name", ["restarts", "drops"])
def test_a_training_that_keras_restores_goes_on_along_the_schedule(
    name: str, first: bool, train: Callable[..., Any], tmp_path: Path
) -> None:
    def beside(*others: Any) -> list[Any]:
        callbacks = [keras.callbacks.BackupAndRestore(str(tmp_path / "backup")), CALLBACKS[name]()]
        return [*(callbacks if first else callbacks[::-1]), *others]

    whole = trained(train, model(), [CALLBACKS[name]()], epochs=6)
    with pytest.raises(Killed):
        trained(train, model(), beside(Killing(4)), epochs=6)
    rates: list[float] = []
    noting = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: rates.append(float(noting.model.optimizer.learning_rate))
    )
    resumed = trained(train, model(), beside(noting), epochs=6)
    schedule = CALLBACKS[name]().schedule(0.05, STEPS)
    np.testing.assert_allclose(rates, [float(schedule(5 * STEPS - 1)), float(schedule(6 * STEPS - 1))], 1e-5)
    for one, other in zip(resumed, whole, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("train", [fit, keras.Model.fit], ids=["ours", "by Keras"])
def test_a_restored_training_that_was_over_gets_its_rate_again(
    train: Callable[..., Any], tmp_path: Path
) -> None:
    folder = str(tmp_path / "backup")
    options = {"epochs": 3, "shuffle": False}
    kept = keras.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
    whole = trained(train, model(), [kept, StepDrop(0.5, 1)], **options)
    again = trained(train, model(), [keras.callbacks.BackupAndRestore(folder), StepDrop(0.5, 1)], **options)
    np.testing.assert_allclose(again[0], whole[0])
    assert again[-1] == whole[-1] == np.float32(0.05)


@pytest.mark.parametrize("train", [fit, keras.Model.fit], ids=["ours", "by Keras"])
def test_a_second_training_starts_from_the_rate_of_then(train: Callable[..., Any]) -> None:
    class Setting(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.model.optimizer.learning_rate = 0.02

    network, callback = model(), StepDrop(0.5, 1)
    trained(train, network, [callback])
    trained(train, network, [callback, Setting()])
    assert callback.initial_learning_rate == np.float32(0.02)


def test_a_schedule_may_stand_by_where_nothing_trains() -> None:
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    assert network.predict(X, verbose=0, callbacks=[StepDrop()]).shape == (N_ROWS, 1)


def test_other_callbacks_see_the_rate_of_the_moment() -> None:
    class Noting(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.rates: list[float] = []

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.rates.append(float(self.model.optimizer.learning_rate))

    noted = []
    for train in (fit, keras.Model.fit):
        noting = Noting()
        trained(train, model(), [CosineRestarts(3), noting])
        noted.append(noting.rates)
    np.testing.assert_allclose(*noted, rtol=1e-6)
    assert noted[0] == sorted(noted[0], reverse=True) or noted[0][3] > noted[0][2]


def test_a_model_that_keras_trains_is_scheduled_too() -> None:
    eager = model()
    eager.run_eagerly = True
    with pytest.warns(FallbackWarning, match="run_eagerly"):
        ours = trained(fit, eager, [CosineRestarts(1)])
    np.testing.assert_allclose(ours[0], trained(fit, model(), [CosineRestarts(1)])[0], atol=1e-5)


def test_members_with_schedules_of_their_own_train_as_they_would_alone() -> None:
    schedules = [None, *[make() for make in CALLBACKS.values()], CosineRestarts(2)]
    folds = [np.arange(first, 70) for first in (0, 0, 20, 7, 35)]
    stopping = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=5.0, restore_best_weights=True)
    members = [
        Member(
            model(seed=seed, n_neurons=3 + seed),
            rows,
            random_state=seed,
            early_stopping=stop,
            schedule=schedule,
        )
        for seed, (rows, schedule, stop) in enumerate(
            zip(folds, schedules, [None, None, stopping, None, stopping], strict=True)
        )
    ]
    together = Population(members, X, Y, batch_size=SIZE)
    together.train(2)
    courses = together.train(5)
    assert {course.stopped_by for course in courses} == {None, "early stopping"}
    for index, member in enumerate(members):
        alone = Population([member], X, Y, batch_size=SIZE)
        (course,) = alone.train(5)
        np.testing.assert_allclose(course.history["loss"], courses[index].history["loss"], rtol=1e-4)
        written = [population.write(at) for population, at in ((together, index), (alone, 0))]
        assert float(written[0].optimizer.learning_rate) == np.float32(0.05)
    alone = Population([members[1]], X, Y, batch_size=SIZE)
    (course,) = alone.train(5)
    without = Population([Member(members[1].model, folds[1], random_state=1)], X, Y, batch_size=SIZE)
    assert course.history["loss"] != pytest.approx(without.train(5)[0].history["loss"], rel=1e-3)


def test_a_schedule_compiles_nothing_anew(compiles: list[Any]) -> None:
    for make in CALLBACKS.values():
        trained(fit, model(), [make()])
    assert len(compiles) == 1


def scheduler() -> Any:
    return keras.callbacks.LearningRateScheduler(lambda _, rate: rate)


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (
            lambda: [LearningRateWarmup(), StepDrop()],
            "LearningRateWarmup and StepDrop all set the learning rate",
        ),
        (lambda: [StepDrop(), scheduler()], "StepDrop and LearningRateScheduler all set the learning rate"),
        (
            lambda: [keras.callbacks.ReduceLROnPlateau("loss"), StepDrop()],
            "ReduceLROnPlateau and StepDrop all set the learning rate; pass one of them",
        ),
    ],
)
def test_two_that_set_the_rate_are_refused(callbacks: Callable[[], Any], message: str) -> None:
    network = model()
    before = network.get_weights()
    with pytest.raises(ValueError, match=message):
        trained(fit, network, callbacks())
    np.testing.assert_array_equal(network.get_weights()[0], before[0])


def test_under_keras_another_that_sets_the_rate_is_noticed() -> None:
    with pytest.raises(
        ValueError, match="StepDrop sets the learning rate of every step, but other code changed it"
    ):
        trained(keras.Model.fit, model(), [LearningRateWarmup(), StepDrop()])


def test_an_optimizer_with_a_schedule_is_refused() -> None:
    network = model(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10)))
    for train in (fit, keras.Model.fit):
        with pytest.raises(
            ValueError, match="StepDrop sets the .* is a CosineDecay; compile the model with a"
        ):
            trained(train, network, [StepDrop()])


def test_steps_that_keras_hides_are_refused() -> None:
    hidden = model()
    hidden.compile("sgd", "mse", steps_per_execution=3)
    with pytest.raises(ValueError, match="StepDrop acts at every step, but steps_per_execution=3"):
        trained(keras.Model.fit, hidden, [StepDrop()])
    trained(fit, hidden, [StepDrop()], fallback="error")


def test_an_epoch_of_unknown_length_is_refused() -> None:
    def rows() -> Any:
        while True:
            yield X[:SIZE], Y[:SIZE]

    callback = StepDrop()
    callback.set_params({"steps": None})
    callback.set_model(model())
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    with pytest.raises(ValueError, match="StepDrop needs the number of steps of an epoch; pass steps_per_ep"):
        callback.on_train_batch_begin(0)
    model().fit(rows(), shuffle=False, steps_per_epoch=2, epochs=1, verbose=0, callbacks=[StepDrop()])


def test_a_callback_of_ones_own_says_its_schedule() -> None:
    class Silent(LearningRateCallback):
        pass

    with pytest.raises(NotImplementedError, match="Silent must have a method schedule"):
        trained(keras.Model.fit, model(), [Silent()])

    class Wrong(LearningRateCallback):
        def schedule(self, learning_rate: float, steps_per_epoch: int) -> Any:
            return learning_rate

    with pytest.raises(TypeError, match=r"Wrong.schedule must return a keras LearningRateSchedule; got 0.05"):
        trained(keras.Model.fit, model(), [Wrong()])


def test_hooks_beside_a_schedule_are_called() -> None:
    class Counting(StepDrop):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seen = [*getattr(self, "seen", []), float(self.model.optimizer.learning_rate)]

    counting = Counting(0.5, every_epochs=1)
    trained(fit, model(), [counting], fallback="error")
    np.testing.assert_allclose(counting.seen, [0.05, 0.025, 0.0125, 0.00625], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LearningRateWarmup(-1), "LearningRateWarmup: warmup_epochs must be a number >= 0; got -1"),
        (lambda: LearningRateWarmup(1, start=-1), "start must be a number >= 0; got -1"),
        (lambda: CosineRestarts(0), "CosineRestarts: first_decay_epochs must be a number > 0; got 0"),
        (lambda: CosineRestarts(1, t_mul=0.5), "t_mul must be a number >= 1; got 0.5"),
        (lambda: CosineRestarts(1, m_mul=0), "m_mul must be a number > 0; got 0"),
        (lambda: CosineRestarts(1, alpha=2), r"alpha must be a number in \[0, 1\]; got 2"),
        (lambda: CosineRestarts(1, warmup_epochs=-1), "warmup_epochs must be a number >= 0; got -1"),
        (lambda: StepDrop(1.0), r"StepDrop: drop must be a number in \(0, 1\); got 1.0"),
        (lambda: StepDrop(every_epochs=0), "every_epochs must be a number > 0; got 0"),
        (lambda: StepDrop(minimum=-1), "minimum must be a number >= 0; got -1"),
        (lambda: StepDrop(warmup_epochs=-1), "warmup_epochs must be a number >= 0; got -1"),
    ],
)
def test_what_a_callback_cannot_do_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
