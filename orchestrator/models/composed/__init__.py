"""Models made of other models: the first that answers, the cheapest, the fastest, by weight, and kept answers."""
