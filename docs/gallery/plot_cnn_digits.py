"""
A convolutional network on digits
=================================

`KerasClassifier` makes an estimator from any function that returns a Keras model: here convolutions of 8 x
8 images. The search sets the arguments of the function.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from kerashp import KerasClassifier
from kerashp.model_selection import GridSearchCV

images, labels = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8, 1) / 16
X_train, X_test, y_train, y_test = train_test_split(images, labels, stratify=labels, random_state=0)

# %%
# `input_shape` and `n_outputs` follow from the data.


def build(input_shape, n_outputs, n_filters=16, dropout=0.0, learning_rate=3e-3):
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv2D(n_filters, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(2 * n_filters, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dropout(dropout),
            layers.Dense(n_outputs, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy")
    return model


search = GridSearchCV(
    KerasClassifier(build, epochs=15, batch_size=64, random_state=0),
    {"learning_rate": [0.001, 0.003], "dropout": [0.0, 0.3]},
    cv=2,
)
search.fit(X_train, y_train)
accuracy = search.score(X_test, y_test)
print(f"Best parameters: {search.best_params_}, accuracy on the test rows: {accuracy:.3f}")

# %%
# The figure shows images that the network gets wrong, with the label and its prediction. Some are hard to
# read for people, too.

predicted = search.predict(X_test)
wrong = np.flatnonzero(predicted != y_test)[:12]
figure, axes = plt.subplots(2, 6, figsize=(9, 3.6), layout="constrained")
for ax in axes.flat:
    ax.set_axis_off()
for ax, row in zip(axes.flat, wrong, strict=False):
    ax.imshow(X_test[row, :, :, 0], cmap="gray_r")
    ax.set_title(f"{y_test[row]}, predicted {predicted[row]}", fontsize="small")
plt.show()
