"""One member of a population: its arguments enter, its progress, rates and result leave."""
