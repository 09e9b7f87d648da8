"""Pipelines that are measured: a module each, imported by the interpreter of its own virtual environment only."""
