"""How the node type `classifier` decides: examples, features of words, heads over vectors, and what they are worth."""
