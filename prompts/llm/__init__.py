"""Templates of the prompts to a language model. Data only."""
