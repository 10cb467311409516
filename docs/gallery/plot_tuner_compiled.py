"""
A tuner of keras-tuner that trains in compiled calls
====================================================

A hypermodel of keras-tuner may train as it likes in its method `fit`. With `kerashp.fit` there, each trial
trains an epoch in one compiled call: the tuner's own callback sees every epoch, and does nothing at batches.
"""

import tempfile

import keras
import keras_tuner
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

import kerashp

X, y = load_digits(return_X_y=True)


class Perceptron(keras_tuner.HyperModel):
    def build(self, hp):
        hidden = keras.layers.Dense(hp.Choice("units", [16, 32, 64]), "relu")
        model = keras.Sequential([keras.Input((64,)), keras.layers.Rescaling(1 / 16), hidden])
        model.add(keras.layers.Dense(10, "softmax"))
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, *args, **kwargs):
        # fallback="error" shows that nothing falls back to Model.fit
        return kerashp.fit(model, *args, fallback="error", **kwargs)


folder = tempfile.TemporaryDirectory()
tuner = keras_tuner.RandomSearch(
    Perceptron(), objective="val_accuracy", max_trials=8, seed=0, directory=folder.name
)
tuner.search(X, y, epochs=10, validation_split=0.25, verbose=0)
print(tuner.get_best_hyperparameters()[0].values)

# %%
# The trials, each the accuracy of its best epoch on the held-out rows.

trials = tuner.oracle.get_best_trials(8)
rates = [trial.hyperparameters.values["learning_rate"] for trial in trials]
units = [trial.hyperparameters.values["units"] for trial in trials]
points = plt.scatter(rates, [trial.score for trial in trials], c=units, cmap="viridis_r")
plt.colorbar(points, label="units")
plt.xscale("log")
plt.xlabel("learning_rate")
plt.ylabel("val_accuracy")
folder.cleanup()
plt.show()
