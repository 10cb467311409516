"""Many models of one graph shape as one template: models enter, a state with a member axis leaves."""
