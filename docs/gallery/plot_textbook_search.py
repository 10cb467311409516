"""
The textbook's search
=====================

The search of A. Géron's *Hands-On Machine Learning*, chapter 10: a function that builds a Keras model, and
random values of its depth, width and learning rate. Against the book, only the imports are changed; the
candidates then train together instead of one after the other.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import reciprocal
from sklearn.datasets import make_friedman1
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from kerashp import KerasRegressor
from kerashp.model_selection import RandomizedSearchCV
from kerashp.plotting import SliceDisplay

X, y = make_friedman1(600, noise=1.0, random_state=42)
X_train, X_test, y_train, y_test = train_test_split(scale(X), scale(y), random_state=42)


def build_model(n_hidden=1, n_neurons=30, learning_rate=3e-3, input_shape=(10,)):
    model = keras.models.Sequential()
    model.add(keras.layers.InputLayer(shape=input_shape))
    for _ in range(n_hidden):
        model.add(keras.layers.Dense(n_neurons, activation="relu"))
    model.add(keras.layers.Dense(1))
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(learning_rate=learning_rate))
    return model


# %%
# Every argument of the function is a parameter of the estimator, and the search draws values for three of
# them.

search = RandomizedSearchCV(
    KerasRegressor(build_model, epochs=30, random_state=42),
    {
        "n_hidden": [0, 1, 2, 3],
        "n_neurons": np.arange(1, 100),
        "learning_rate": reciprocal(3e-4, 3e-2),
    },
    n_iter=20,
    cv=3,
    random_state=42,
)
search.fit(X_train, y_train)
for name, value in search.best_params_.items():
    print(f"{name}: {value:.3g}")
print(f"R2 on the test rows: {search.score(X_test, y_test):.2f}")

# %%
# `plan_` says which fits trained together: networks with hidden layers in one group, linear ones in another.

print(search.plan_)

# %%
# The figure shows the mean R2 on held-out rows of each candidate against each parameter; the star is the
# best candidate. The learning rate matters most: near its lower end, 30 epochs are too few for every size
# of the network.

SliceDisplay.from_search(search)
plt.show()
