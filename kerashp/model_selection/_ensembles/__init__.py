"""Ensembles of candidates. Predictions for held-out rows enter; fitted ensembles leave."""
