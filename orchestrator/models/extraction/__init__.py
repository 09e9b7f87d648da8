"""The parts of the extractive model: words, segments of passages, clauses of questions, amounts, scores, the choice, the wording."""
