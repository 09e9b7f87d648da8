"""The conformance suite of indexes: every sentence of the `Index` contract, as tests.

    from ragweave.evals.kit.retriever import *

    @pytest.fixture
    def make_index(tmp_path):
        def make(embedder, place=0, **settings):
            resources = Resources(folder=tmp_path)
            resources.put("embedders", "given", embedder)
            index = MyIndex(path=f"index-{place}", embedder="given", **settings)
            index.open(resources)
            return index
        return make

`make_index(embedder, place=0, fields={…}, access={…})` opens one more index on a place of this test, which is empty at
first: each number is a place of its own. Several that are open on one place stand for several processes.

One that lives and dies with its process takes the modules `alone`, `filtering` and `keeping`. The suite needs pytest,
hypothesis and numpy, nothing else.
"""

from __future__ import annotations

from ragweave.evals.kit.retriever.alone import *  # noqa: F403
from ragweave.evals.kit.retriever.filtering import *  # noqa: F403
from ragweave.evals.kit.retriever.keeping import *  # noqa: F403
from ragweave.evals.kit.retriever.reopening import *  # noqa: F403
