"""One member of a population, its learning rates and early stopping, and the room that it trains in."""
