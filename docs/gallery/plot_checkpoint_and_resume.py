"""
Checkpoint and resume
=====================

A training is stopped after 12 of 40 epochs, as by a kill or a reboot, and the same script is run again. It
resumes from the last checkpoint, with the optimizer's state, the seeds of dropout and the order of the
rows.
"""

import tempfile

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale

from kerashp import build_model, fit
from kerashp.callbacks import ModelCheckpoint

X, y = (scale(data).astype("float32") for data in load_diabetes(return_X_y=True))


def script(folder, epochs):
    """A training script, which is the same for the first run and for those after it."""
    keras.utils.set_random_seed(0)
    model = build_model(2, 32, 0.01, input_shape=10, dropout=0.2, l2=0.01)
    checkpoint = ModelCheckpoint(f"{folder}/{{epoch:03d}}.keras", keep=2)
    first_epoch = checkpoint.resume(model)
    history = fit(
        model,
        X,
        y,
        epochs=epochs,
        initial_epoch=first_epoch,
        validation_split=0.3,
        callbacks=[checkpoint],
        verbose=0,
    )
    return first_epoch, history.history["val_loss"]


with tempfile.TemporaryDirectory() as folder:
    _, before = script(folder, epochs=12)  # ends early
    first_epoch, after = script(folder, epochs=40)
with tempfile.TemporaryDirectory() as folder:
    _, uninterrupted = script(folder, epochs=40)
print(f"The second run began with epoch {first_epoch}.")
print(f"Same numbers as without the interruption: {np.allclose(before + after, uninterrupted)}")

# %%
# The curve of the interrupted training lies on that of an uninterrupted one.

figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
epochs = np.arange(1, 41)
ax.plot(epochs, uninterrupted, color="0.7", linewidth=6, label="uninterrupted")
ax.plot(epochs[:12], before, color="tab:blue", label="first run")
ax.plot(epochs[12:], after, color="tab:orange", label="second run, resumed")
ax.axvline(12.5, color="black", linestyle=":", label="kill")
ax.set(xlabel="epoch", ylabel="validation loss")
ax.legend()
plt.show()
