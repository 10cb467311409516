"""keras-tuner's oracles: scores of candidates enter, proposals of further candidates leave."""
