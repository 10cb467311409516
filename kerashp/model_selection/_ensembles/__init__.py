"""Ensembles of candidates: selection, training on all rows, and their estimators."""
