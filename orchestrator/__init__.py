"""Graphs that are checked before they run, journaled while they run, and replayable after they ran.

Values, contracts, nodes, graphs, checking, planning, running, journals, policies, batching, models, memories and
guardrails live here. This package imports none of `tools`, `retrievers`, `prompts` and `evals`: what a node needs from
them reaches it as a named resource.
"""
