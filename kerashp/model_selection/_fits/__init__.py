"""One candidate on one split. A task of scikit-learn enters; a `FitResult` leaves."""
