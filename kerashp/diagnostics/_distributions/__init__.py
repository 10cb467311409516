"""`compare_distributions`: tests whether two data sets have the same distribution, feature by feature."""
