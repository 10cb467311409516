"""The processor as two devices, taken for accelerators: see test_devices.py."""

import json
from typing import Any

import keras
import numpy as np
from keras.callbacks import EarlyStopping

from kerashp import KerasMLPRegressor, KerasRegressor, build_model
from kerashp.estimators._training.handover import FitSuspended, suspending
from kerashp.model_selection import GridSearchCV
from kerashp.training import Devices, Member, Population
from kerashp.training._engine.program import Program
from kerashp.training._runtime.backend import backend

X = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
USED: list[str] = []  # where the weights were that a call handed back


def two_devices() -> list[Any]:
    if keras.backend.backend() == "jax":
        import jax

        return jax.devices()
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return [device.name for device in tf.config.list_logical_devices("CPU")]


def as_accelerators(devices: list[Any]) -> None:
    backend().devices = lambda: devices


def watched(run: Any) -> Any:
    def noting(*arguments: Any, **options: Any) -> Any:
        carry, *logs = run(*arguments, **options)
        USED.append(str(carry.state.weights[0].device))
        return carry, *logs

    return noting


def population(devices: list[Any]) -> Any:
    """On the last device: members that stop at different times, so that blocks are made anew."""
    as_accelerators(devices)
    members = []
    for seed, stop in enumerate([None, None, EarlyStopping("loss", patience=0, min_delta=10.0)]):
        keras.utils.set_random_seed(seed)
        model = build_model(1, 4, 0.05, 3, dropout=0.2)
        members.append(Member(model, random_state=seed, early_stopping=stop))
    pool = Devices()
    with pool.least_busy(), pool.least_busy():
        made = Population(members, X, X[:, 0], blocks_at_a_time=1)
    trained = made.train(epochs=3)
    outputs = made.predict(X, [0, 1, 2])
    return [one.history["loss"] for one in trained], outputs.tolist()


def search(devices: list[Any]) -> Any:
    as_accelerators(devices)
    mlp = KerasMLPRegressor(1, 4, epochs=3, batch_size=32, random_state=0)
    fitted = GridSearchCV(mlp, {"n_hidden": [0, 1]}, cv=2, refit=False).fit(X, X[:, 0])
    return [fitted.cv_results_[f"split{split}_test_score"].tolist() for split in range(2)]


def prototype(devices: list[Any]) -> list[str]:
    """Where a network is that need not be built, while the second device is an accelerator by default."""
    backend().device_kind = lambda: "gpu"
    mlp = KerasMLPRegressor(1, 4, random_state=0)
    with backend().on(devices[1]), suspending({}):
        try:
            mlp.fit(X, X[:, 0])
        except FitSuspended as suspended:
            network = suspended.fitting.state.network
    return [str(variable.value.device) for variable in network.architecture.variables]


def models(devices: list[Any]) -> list[str]:
    """Where the models of a user's function are, made one after the other by a search."""
    backend().device_kind = lambda: "gpu"
    made = []

    def build(units: int) -> Any:
        model = build_model(1, units, 0.05, 3)
        made.append(str(model.variables[0].value.device))
        return model

    with backend().on(devices[1]):
        regressor = KerasRegressor(build, units=3, epochs=2, batch_size=32, random_state=0)
        GridSearchCV(regressor, {"units": [3, 4]}, cv=2).fit(X, X[:, 0])
    return made


def main() -> None:
    Program.run = watched(Program.run)
    devices = two_devices()
    results = {}
    for work in (population, search):
        for used_devices in (devices[:1], devices):
            USED.clear()
            numbers = work(used_devices)
            results[f"{work.__name__} {len(used_devices)}"] = {"numbers": numbers, "used": sorted(set(USED))}
    results["prototype"] = prototype(devices)
    results["models"] = models(devices)
    print(json.dumps(results | {"devices": list(map(str, devices))}))


if __name__ == "__main__":
    main()
