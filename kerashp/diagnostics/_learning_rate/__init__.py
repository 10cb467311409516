"""`find_learning_rate`: many rates, their curves of loss, and the rate to begin with."""
