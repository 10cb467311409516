"""One member of a population: its rows, room, learning rates and early stopping."""
