"""Checks by linear heads over MiniLM: what they say is advice, no boundary; their model cards are in `docs/`."""
