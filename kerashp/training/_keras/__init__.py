"""Keras models: layers, optimizers, data, callbacks, their identity, and what prevents compiling them."""
