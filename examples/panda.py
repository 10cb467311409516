"""Care for a single model, as a panda for its only cub: resume, change the rate, return to the best epoch.

First in a Keras script, then with the `partial_fit` of an estimator. The script stores its state in a folder,
so it can be killed at any time and run again.
"""

import argparse
import tempfile
from typing import Any

from startup import load_tensorflow

load_tensorflow()

import keras
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from kerashp import KerasMLPRegressor, build_model, fit
from kerashp.callbacks import EarlyStopping, ModelCheckpoint


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", help="the folder of the checkpoints; a temporary one by default")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or temporary
        data = _data()
        train_in_script(f"{folder}/script", *data)
        train_with_partial_fit(f"{folder}/estimator", *data)


def _data() -> list[np.ndarray]:
    X, y = load_diabetes(return_X_y=True)
    return train_test_split(scale(X).astype("float32"), scale(y).astype("float32"), random_state=0)


def train_in_script(folder: str, X: Any, X_valid: Any, y: Any, y_valid: Any) -> None:
    """With `kerashp.fit`; `model.fit` works as well."""
    print("A Keras script")

    def train(epochs: int, *, roll_back: bool = False, rate: float | None = None) -> dict[str, list[float]]:
        """Each run of the script builds the model, resumes from the last checkpoint and trains."""
        keras.utils.set_random_seed(0)
        model = build_model(1, 64, 0.05, X.shape[1])
        checkpoint = ModelCheckpoint(f"{folder}/{{epoch:03d}}.keras", keep=3)
        first = checkpoint.resume(model, best=roll_back)
        if rate is not None:
            model.optimizer.learning_rate = rate
        if first < epochs and not checkpoint.stopped_early:
            current_rate = float(model.optimizer.learning_rate)
            print(f"  epochs {first + 1} to {epochs} at most, at the rate {current_rate:.3g}")
        return fit(
            model,
            X,
            y,
            epochs=epochs,
            initial_epoch=first,
            validation_data=(X_valid, y_valid),
            callbacks=[EarlyStopping(patience=15), checkpoint],
            verbose=0,
        ).history

    _show(train(10))
    _show(train(20))  # the same call later, even in a new process, resumes
    losses = train(
        40, roll_back=True, rate=0.005
    )  # the loss fluctuates: back to the best epoch, with a lower rate
    _show(losses)


def train_with_partial_fit(folder: str, X: Any, X_valid: Any, y: Any, y_valid: Any) -> None:
    """The same with an estimator, one epoch per call, stored by its `save` and `load`."""
    print("An estimator, one epoch per call")
    path = f"{folder}/{{epoch:03d}}.keras"
    options = {"optimizer": "sgd", "batch_size": 32, "random_state": 0}
    regressor = KerasMLPRegressor(1, 64, 0.05, callbacks=[ModelCheckpoint(path)], **options)

    def watch(n_epochs: int) -> None:
        n_done = len(getattr(regressor, "history_", {"loss": []})["loss"])
        for _ in range(n_epochs):
            regressor.partial_fit(X, y, validation_data=(X_valid, y_valid))
        _show({name: curve[n_done:] for name, curve in regressor.history_.items()})

    watch(20)
    regressor.set_params(callbacks=None).save(f"{folder}/saved")
    regressor = KerasMLPRegressor.load(f"{folder}/saved", callbacks=[ModelCheckpoint(path)])  # another day
    best = ModelCheckpoint(path).resume(regressor.model_, best=True)
    print(
        f"  back to epoch {best}, R2 {regressor.score(X_valid, y_valid):.3f}, then with a tenth of the rate"
    )
    regressor.model_.optimizer.learning_rate = 0.005
    watch(20)
    ModelCheckpoint(path).resume(regressor.model_, best=True)
    print(f"  the best epoch of all: R2 {regressor.score(X_valid, y_valid):.3f}")


def _show(history: dict[str, list[float]]) -> None:
    losses = history.get("val_loss")
    if losses:
        print(f"    validation loss {losses[0]:.3f} to {losses[-1]:.3f}, the least {min(losses):.3f}")


if __name__ == "__main__":
    main()
