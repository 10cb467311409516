"""
Two inputs in a Keras script
============================

A functional model with two inputs reads two images and predicts the sum of their digits. The script is one
of Keras, with one line changed: `kerashp.fit(model, ...)` instead of `model.fit(...)`. The arguments and
the `History` are the same; an epoch or more is one compiled call.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

import kerashp
from kerashp.plotting import LearningCurvesDisplay

# %%
# Each row is a pair of images, and its target is the sum of the two digits.

keras.utils.set_random_seed(0)
digits, labels = load_digits(return_X_y=True)
digits = (digits / 16).astype("float32")
pairs = np.random.default_rng(0).integers(len(digits), size=(8000, 2))
X = {"left": digits[pairs[:, 0]], "right": digits[pairs[:, 1]]}
y = labels[pairs].sum(axis=1).astype("float32")

# %%
# Both images go through the same layers.

left, right = layers.Input((64,), name="left"), layers.Input((64,), name="right")
reader = keras.Sequential([layers.Dense(64, activation="relu"), layers.Dense(16, activation="relu")])
joined = layers.concatenate([reader(left), reader(right)])
output = layers.Dense(1)(layers.Dense(32, activation="relu")(joined))
model = keras.Model({"left": left, "right": right}, output)
model.compile("adam", "mse", metrics=["mae"])

history = kerashp.fit(model, X, y, batch_size=64, epochs=30, validation_split=0.2, verbose=0)
print(f"mean absolute error of the validation rows: {history.history['val_mae'][-1]:.2f}")

# %%
# The validation rows are pairs that the network has not seen, though of images that it may have seen in
# other pairs. Their error falls nearly as low as that of the training rows.

LearningCurvesDisplay.from_history(history, curve="mae")
plt.show()
