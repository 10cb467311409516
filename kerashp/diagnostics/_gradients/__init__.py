"""`check_gradients`: automatic gradients against differences of the loss."""
