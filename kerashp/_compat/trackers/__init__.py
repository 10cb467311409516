"""Names of the libraries to which searches are logged, which are imported when a logger is used."""
