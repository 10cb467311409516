"""Reports of finished candidates to loggers: results of fits enter, calls of a `SearchLogger` leave."""
