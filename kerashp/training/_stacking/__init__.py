"""Many models of one graph shape as one: template, padding, the members' values, and one step of all."""
