"""The prompt: which facts it states, how it is rendered, how it is cut to a budget."""
