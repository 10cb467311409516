"""
An LSTM with TimeSeriesSplit
============================

The next value of a series is predicted from the twelve before it. `TimeSeriesSplit` always validates on
later rows than those it trains on, so that the search does not look into the future.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.model_selection import TimeSeriesSplit

from kerashp import KerasRegressor
from kerashp.model_selection import GridSearchCV

# %%
# The series has two periods, and noise. Each row of `X` is a window of twelve values of one feature.

rng = np.random.default_rng(0)
months = np.arange(360)
series = np.sin(2 * np.pi * months / 12) + 0.5 * np.sin(2 * np.pi * months / 40)
series += 0.15 * rng.normal(size=len(months))
X = sliding_window_view(series[:-1], 12)[:, :, None].astype("float32")
y = series[12:].astype("float32")
n_test = 60

# %%
# With `unroll=True` the twelve time steps are part of the graph, and all fits train together; a network
# that loops over time steps trains by itself.


def build(input_shape, n_units=8, learning_rate=0.01):
    model = keras.Sequential([keras.Input(input_shape), layers.LSTM(n_units, unroll=True), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(learning_rate), "mse")
    return model


search = GridSearchCV(
    KerasRegressor(build, epochs=30, batch_size=32, random_state=0),
    {"learning_rate": [0.003, 0.01, 0.03]},
    cv=TimeSeriesSplit(3),
)
search.fit(X[:-n_test], y[:-n_test])
print(f"Best parameters: {search.best_params_}, R2 {search.best_score_:.2f}")

# %%
# The predictions of the last 60 months, which the search has not seen, follow both periods of the series.
# Their errors cannot be less than the noise of the months that they predict.

figure, ax = plt.subplots(figsize=(9, 4), layout="constrained")
ax.plot(months[-150:], series[-150:], color="0.6", label="series")
ax.plot(months[-n_test:], search.predict(X[-n_test:]), color="tab:blue", label="prediction of the next month")
ax.axvline(months[-n_test], color="black", linestyle=":", label="end of the rows of the search")
error = np.std(y[-n_test:] - search.predict(X[-n_test:]))
ax.set(xlabel="month", title=f"standard deviation of the errors {error:.2f}, of the noise 0.15")
ax.legend(loc="lower left", ncols=3)
ax.set_ylim(-2.6, 2.2)
plt.show()
