"""
A gradient check finds a planted fault
======================================

A layer of your own may have a wrong gradient: the network then trains, but badly. `check_gradients`
compares the automatic gradients of each layer with numerical ones, in float64, and names the layer at
fault.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers, ops

from kerashp.diagnostics import check_gradients

# %%
# The layer computes x * sigmoid(x) with a gradient of its own. The derivative is s + x * s * (1 - s), with
# s = sigmoid(x); with `faulty=True` the second term is forgotten.


@ops.custom_gradient
def right_swish(x):
    s = ops.sigmoid(x)

    def grad(*args, upstream=None):
        (upstream,) = args if upstream is None else (upstream,)
        return upstream * (s + x * s * (1 - s))

    return x * s, grad


@ops.custom_gradient
def faulty_swish(x):
    s = ops.sigmoid(x)

    def grad(*args, upstream=None):
        (upstream,) = args if upstream is None else (upstream,)
        return upstream * s

    return x * s, grad


class Swish(layers.Layer):
    def __init__(self, faulty=False, **options):
        super().__init__(**options)
        self.faulty = faulty

    def call(self, inputs):
        return faulty_swish(inputs) if self.faulty else right_swish(inputs)

    def get_config(self):
        return {**super().get_config(), "faulty": self.faulty}


def network(faulty):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(16, name="hidden_1"),
            Swish(name="swish_1"),
            layers.Dense(16, name="hidden_2"),
            Swish(faulty, name="swish_2"),
            layers.Dense(1, name="output"),
        ]
    )
    model.compile("sgd", "mse")
    return model


X = np.random.default_rng(0).normal(size=(30, 6)).astype("float32")
y = X[:, 0] * X[:, 1]
checks = {
    "right": check_gradients(network(faulty=False), X, y, random_state=0),
    "faulty": check_gradients(network(faulty=True), X, y, random_state=0),
}
print(checks["faulty"])

# %%
# The fault is in `swish_2`, which has no weights itself. It spoils the gradients of all weights before it,
# `hidden_1` and `hidden_2`, while `output`, after it, is right.

figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for name, marker in (("right", "o"), ("faulty", "X")):
    names = [layer.name for layer in checks[name].layers]
    differences = [max(layer.difference, 1e-16) for layer in checks[name].layers]
    ax.plot(names, differences, marker, markersize=10, alpha=0.7, label=f"network with the {name} layer")
ax.axhspan(1e-17, 1e-7, color="tab:green", alpha=0.15, label="right: up to 1e-7")
ax.axhspan(1e-3, 10, color="tab:red", alpha=0.15, label="wrong: from 1e-3")
ax.set(
    yscale="log", ylim=(1e-14, 10), xlabel="layer with weights", ylabel="relative difference of the gradients"
)
ax.margins(x=0.2)
ax.legend(loc="center right", fontsize="small")
plt.show()
