"""The parts of the extractive model, from words and segments to clauses, scores, the choice and the wording."""
