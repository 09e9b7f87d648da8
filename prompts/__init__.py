"""What is said to a language model: templates, their versions, the prompt library, and the nodes that speak.

A prompt is a named, versioned text with declared variables; the generator, decomposer and judge nodes render one and
call a model with it. This package imports `ragweave.orchestrator` only.
"""
