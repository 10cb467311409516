"""A training that saves checkpoints, to be run, killed and run again; see test_kills.py.

It has what a resumed one could forget: dropout, the order of rows, early stopping, a rate lowered
at plateaus.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerashp import build_model, fit
from kerashp.callbacks import EarlyStopping, ModelCheckpoint

_OF_WRITES = ("open", "os.rename", "os.remove")
EPOCHS = 40


def train(folder: str, tell: Any = None) -> tuple[Any, int, int]:
    """Train on from what is in the folder; the model, the stop epoch and the epoch it began with.

    `tell` is called when an epoch begins.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 4)).astype("float32")
    y = X[:, 0] - X[:, 1] + 0.3 * rng.normal(size=120).astype("float32")
    keras.utils.set_random_seed(0)
    model = build_model(1, 8, 0.05, (4,), dropout=0.2)
    stopping, plateau = EarlyStopping(patience=6), keras.callbacks.ReduceLROnPlateau(factor=0.7, patience=2)
    checkpoint = ModelCheckpoint(f"{folder}/{{epoch:03d}}.keras", keep=2)
    first = checkpoint.resume(model)
    callbacks = [stopping, plateau, checkpoint]
    if tell is not None:
        callbacks.append(keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: tell()))
    options = {"validation_split": 0.25, "initial_epoch": first, "fallback": "error", "verbose": 0}
    fit(model, X, y, epochs=EPOCHS, callbacks=callbacks, **options)
    return model, stopping.stopped_epoch, first


def _kill_in_a_write(folder: str, at: int) -> list[int]:
    """Kill this process at so many file operations in the folder, with a half of what is being written.

    A list with the number of operations so far.
    """
    seen = [0]

    def hook(event: str, arguments: tuple) -> None:
        if event not in _OF_WRITES or not str(arguments[0]).startswith(folder):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        seen[0] += 1
        if seen[0] == at:
            for path in Path(folder).glob(".new.*"):
                os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return seen


if __name__ == "__run__":
    os.environ["KERASHP_CACHE"] = globals()["cache"]
    folder, kill_at, sender = globals()["folder"], globals()["kill_at"], globals()["sender"]
    operations = _kill_in_a_write(folder, kill_at)
    train(folder, lambda: sender.send("epoch"))
    sender.send(operations[0])
