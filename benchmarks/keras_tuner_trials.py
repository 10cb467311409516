"""keras-tuner's RandomSearch with `MLPHyperModel`, and with the same models by `Model.fit`, alternating.

python benchmarks/keras_tuner_trials.py [runs] [housing.csv]
"""

import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_tuner
import results
from common import HOUSING, heading, housing, in_turn

from kerashp.integrations.keras_tuner import MLPHyperModel
from kerashp.spaces import int_loguniform, loguniform

TRIALS, EPOCHS = 5, 10
SPACE = {
    "n_hidden": [1, 2],
    "n_neurons": int_loguniform(16, 128),
    "learning_rate": loguniform(3e-4, 3e-2),
}


class Plain(keras_tuner.HyperModel):
    """The models of another hypermodel, trained by `Model.fit`."""

    def __init__(self, own: MLPHyperModel):
        super().__init__()
        self.own = own

    def build(self, hp: Any) -> Any:
        return self.own.build(hp)


def search(model: keras_tuner.HyperModel, X: Any, y: Any) -> None:
    """A whole search in a new folder, without compiled programs."""
    keras.backend.clear_session()
    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.RandomSearch(
            model, keras_tuner.Objective("val_loss", "min"), max_trials=TRIALS, seed=0, directory=folder
        )
        tuner.search(X, y, epochs=EPOCHS, validation_split=0.2, verbose=0)


def main(runs: int = 3, csv: Path = HOUSING) -> None:
    X, y, name = housing(csv=csv)
    own = MLPHyperModel(SPACE, input_shape=X.shape[1:])
    sides = {"MLPHyperModel": own, "its models, Model.fit": Plain(own)}
    times = in_turn({name: partial(search, model, X, y) for name, model in sides.items()}, runs)
    print(heading(runs, f"{name}, {len(X)} rows; {TRIALS} trials of {EPOCHS} epochs, compiling included"))
    for side, seconds in times.items():
        print(f"{side:22s} {seconds:6.1f} s, {seconds / times['MLPHyperModel']:5.1f} times")
    found = {side: {"seconds": took, "times": took / times["MLPHyperModel"]} for side, took in times.items()}
    results.write("keras_tuner_trials", "random search", found, runs, trials=TRIALS, epochs=EPOCHS, data=name)


if __name__ == "__main__":
    runs, *csv = sys.argv[1:] or ["3"]
    main(int(runs), *map(Path, csv))
