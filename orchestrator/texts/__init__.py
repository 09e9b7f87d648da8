"""What nodes do with text by rules: count its tokens, cut it, rank its sentences."""
