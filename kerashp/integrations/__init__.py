"""kerashp in other libraries, in modules that are imported by name."""
