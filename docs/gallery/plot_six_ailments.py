"""
Diagnosis of six ailments
=========================

`diagnose` reads learning curves and says what is wrong, with its evidence and what to do. Here one data set
is learned in six wrong ways.
"""

import keras
import matplotlib.pyplot as plt
from sklearn.datasets import make_friedman1
from sklearn.preprocessing import scale

from kerashp import build_model, fit
from kerashp.diagnostics import diagnose

X, y = (scale(data).astype("float32") for data in make_friedman1(1500, noise=1.0, random_state=0))

# %%
# The network has two hidden layers and is trained by Adam with a rate of 0.003, unless a setting below says
# otherwise. `n_rows` limits the rows.

settings = {
    "rate 1000 times too high, by SGD": {"learning_rate": 3.0, "optimizer": "sgd"},
    "80 rows, no penalty": {"n_rows": 80, "n_neurons": 64, "l2": 0.0},
    "rate 50 times too high": {"learning_rate": 0.15},
    "rate 100 times too low": {"learning_rate": 3e-5},
    "only 10 epochs": {"epochs": 10},
    "strong penalty": {"l2": 0.3},
}


def train(n_rows=None, n_neurons=16, learning_rate=0.003, optimizer="adam", l2=1e-3, epochs=100):
    keras.utils.set_random_seed(0)
    model = build_model(2, n_neurons, learning_rate, input_shape=10, optimizer=optimizer, l2=l2)
    rows = slice(n_rows)
    history = fit(model, X[rows], y[rows], epochs=epochs, validation_split=0.25, verbose=0)
    return history, diagnose(history, y=y[rows])


results = {cause: train(**setting) for cause, setting in settings.items()}

# %%
# A result prints with its evidence and advice; this is the second one.

print(results["80 rows, no penalty"][1])

# %%
# The figure shows the curves of all six, with the cause and the verdict above them: each verdict names the
# ailment that was caused.

figure, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
for ax, (cause, (history, diagnosis)) in zip(axes.flat, results.items(), strict=True):
    ax.plot(history.history["loss"], "--", label="training loss")
    ax.plot(history.history["val_loss"], label="validation loss")
    ax.set_title(f"{cause}:\n{diagnosis.verdict}", fontsize="medium")
    if diagnosis.verdict == "divergence":
        ax.text(0.5, 0.5, "not finite", ha="center", transform=ax.transAxes)
        ax.set(xlim=(0, 100), yticks=[])
    else:
        ax.set_ylim(0, min(5, max(curve[0] for curve in history.history.values())))
    ax.set_xlabel("epoch")
axes[0, 1].legend()
plt.show()
