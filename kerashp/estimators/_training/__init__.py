"""What belongs to one fit: callbacks, convergence, a warm start, and its handover to a search."""
