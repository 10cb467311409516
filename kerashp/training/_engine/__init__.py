"""Epochs as compiled calls: programs, the data and draws they are fed, and what comes out of them."""
