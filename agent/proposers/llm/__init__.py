"""The language-model side of the proposer: endpoint, prompts, replies, journal, budget and local server."""
