"""The weights as an optimizer leaves them when training ends, such as their moving averages."""

from typing import Any

import keras

from kerashp.training._keras.optimizers import changes_final_weights
from kerashp.training._runtime.backend import backend
from kerashp.training._runtime.temporary_values import VALUES_LOCK
from kerashp.training._stacking.step import State, variables_of


def final_state(model: Any, state: State) -> State:
    """The state in which `Model.fit` leaves a model whose last step ended in this one.

    Keras' optimizers with `use_ema=True` give the weights their moving averages; an optimizer of the user's
    own may do anything else in `finalize_variable_values`. The model is not changed.

    Parameters
    ----------
    model : keras.Model
        Compiled and built, with a built optimizer.
    state : State
        The values of the model's variables.

    Returns
    -------
    State
    """
    if not changes_final_weights(model.optimizer):
        return state
    variables = variables_of(model)
    pairs = [pair for group in zip(variables, state, strict=True) for pair in zip(*group, strict=True)]
    tensors = [(variable, backend().put(value)) for variable, value in pairs]
    with VALUES_LOCK, backend().stateless(model.optimizer), keras.StatelessScope(state_mapping=tensors):
        model.optimizer.finalize_variable_values(model.trainable_weights)
        # Inside, where a variable that was assigned to another has its value in the state.
        values = [backend().values(group) for group in variables[:3]]
    weights, non_trainable, optimizer = backend().fetched(values)
    return State(weights, non_trainable, optimizer, state.metrics)
