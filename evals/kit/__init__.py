"""Conformance kits: what a third party imports into a test module of its own, beside one fixture, to hold what it has
made against our contracts."""

from __future__ import annotations

import pytest

# Before the modules are loaded: then their assertions say what was compared.
pytest.register_assert_rewrite("ragweave.evals.kit.retriever", "ragweave.evals.kit.store")
