"""`compare_distributions`: two sets of rows, column by column."""
