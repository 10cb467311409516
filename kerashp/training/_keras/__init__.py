"""Keras models and what belongs to them: layers, optimizers, numbers, data, callbacks.

A compiled model enters; its identity, its numbers, its mode and the obstacles to compiling it leave.
"""
