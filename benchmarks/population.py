"""A population of K members compared with hand-written batched matrix products: time, rate and memory by K.

python benchmarks/population.py [runs] [K ...]
"""

import os
import resource
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import results
from common import heading, housing, in_turn
from keras import ops

from kerashp import build_model
from kerashp.training import Member, Population

BATCH_SIZE = 32
NETWORKS = {"1 x 30": (1, 30), "3 x 100": (3, 100)}
SIZES = (1, 3, 30, 300)
LEARNING_RATE = 1e-3


def population(n_members: int, network: tuple[int, int], X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """An epoch of a population, compiled beforehand."""
    model = build_model(*network, LEARNING_RATE, X.shape[1])
    model.compile(keras.optimizers.SGD(LEARNING_RATE), "mse")
    made = Population(
        [Member(model, random_state=seed) for seed in range(n_members)], X, y, batch_size=BATCH_SIZE
    )
    epochs = iter(range(2, 10**6, 2))
    run = lambda: made.train(next(epochs))  # noqa: E731
    run()
    return run


def by_hand(n_members: int, network: tuple[int, int], X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """The same two epochs without models: batched products, gradients and updates spelled out."""
    depth, width = network
    widths = [X.shape[1], *[width] * depth, 1]
    rng = np.random.default_rng(0)
    n_steps = len(X) // BATCH_SIZE
    kernels = [
        ops.convert_to_tensor(rng.normal(0, (2 / n) ** 0.5, (n_members, n, m)), "float32")
        for n, m in pairwise(widths)
    ]
    biases = [ops.zeros((n_members, 1, m), "float32") for m in widths[1:]]
    data, targets = ops.convert_to_tensor(X), ops.convert_to_tensor(y)

    def step(rows: Any, kernels: list[Any], biases: list[Any]) -> tuple[list[Any], list[Any]]:
        outputs = [ops.take(data, rows, axis=0)]
        for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
            outputs.append(ops.relu(ops.matmul(outputs[-1], kernel) + bias))
        predicted = ops.matmul(outputs[-1], kernels[-1]) + biases[-1]
        delta = 2 / BATCH_SIZE * (predicted - ops.take(targets, rows, axis=0))
        new_kernels, new_biases = [], []
        for layer in reversed(range(len(kernels))):
            gradient = ops.matmul(ops.swapaxes(outputs[layer], 1, 2), delta)
            new_kernels.append(kernels[layer] - LEARNING_RATE * gradient)
            new_biases.append(biases[layer] - LEARNING_RATE * ops.sum(delta, axis=1, keepdims=True))
            if layer:
                passed = ops.cast(outputs[layer] > 0, "float32")
                delta = ops.matmul(delta, ops.swapaxes(kernels[layer], 1, 2)) * passed
        return new_kernels[::-1], new_biases[::-1]

    @compiled
    def epoch(order: Any, kernels: list[Any], biases: list[Any]) -> Any:
        return ops.while_loop(
            lambda i, *_: i < n_steps,
            lambda i, kernels, biases: (i + 1, *step(ops.take(order, i, axis=0), kernels, biases)),
            (0, kernels, biases),
        )[1:]

    state = [kernels, biases]

    def run() -> None:
        for _ in range(2):
            orders = [rng.permutation(len(X))[: n_steps * BATCH_SIZE] for _ in range(n_members)]
            order = np.stack(orders).reshape(n_members, n_steps, BATCH_SIZE).swapaxes(0, 1)
            state[:] = epoch(ops.convert_to_tensor(order, "int32"), *state)
        ops.convert_to_numpy(state[0][0])

    run()
    return run


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled by XLA."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, jit_compile=True)


def flops(network: tuple[int, int], n_features: int) -> float:
    """The operations of a step: each matrix product once forward and twice backward (the first: once)."""
    depth, width = network
    first, others = n_features * width, (depth - 1) * width**2 + width
    return 2.0 * BATCH_SIZE * (2 * first + 3 * others)


def main(runs: int = 5, *sizes: int) -> None:
    """Print a table for each network."""
    X, y, source = housing()
    print(heading(runs, f"{len(X)} rows x {X.shape[1]} features ({source}), batches of {BATCH_SIZE}, SGD"))
    rate = results.sgemm_rate()
    steps = len(X) // BATCH_SIZE
    for name, network in NETWORKS.items():
        found: results.Figures = {}
        print(f"\n{name}: milliseconds a member and epoch of {steps} steps")
        print("    K  population   by hand  ratio   GFLOP/s  of sgemm       MB")
        for n_members in sizes or SIZES:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            sides = {"population": population(n_members, network, X, y)}
            memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            sides["by hand"] = by_hand(n_members, network, X, y)
            times = in_turn(sides, runs)
            ours, theirs = (times[side] / 2 / n_members for side in sides)
            achieved = flops(network, X.shape[1]) * steps / ours / 1e9
            print(
                f"{n_members:5d} {ours * 1e3:11.3f} {theirs * 1e3:9.3f} {ours / theirs:6.2f} "
                f"{achieved:9.1f} {achieved / rate:9.0%} {memory:8.0f}",
                flush=True,
            )
            found[f"{n_members} members"] = {
                "seconds": ours,
                "by hand": theirs,
                "GFLOP/s": achieved,
                "of sgemm": achieved / rate,
                "MB": memory,
            }
        results.write("population", name, found, runs, rows=len(X), steps=steps)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
