"""Guardrails: checks of texts, what is done about what they find, and how a text is held back until it is checked."""
