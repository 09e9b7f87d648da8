"""The conformance suite of stores: every sentence of the `Store` contract, as tests.

    from ragweave.evals.kit.store import *

    @pytest.fixture
    def make_store(tmp_path):
        def make(**settings):
            return MyStore(tmp_path / "runs", **settings)
        return make

`make_store(lease=30.0, keep_days=30.0)` opens one more store on the place of this test, which is empty at first; both
settings may be left out. Several that are open at once stand for several processes, and real processes are forked, too,
where the system can. If the function has an attribute `stored_bytes`, a function that gives all that is kept there as
bytes, what was deleted is looked for in them.

A store that lives in one process only, like `memory`, takes `ragweave.evals.kit.store.alone`. The suite needs pytest
and hypothesis, nothing else.
"""

from __future__ import annotations

from ragweave.evals.kit.store.alone import *  # noqa: F403
from ragweave.evals.kit.store.removing import *  # noqa: F403
from ragweave.evals.kit.store.reopening import *  # noqa: F403
from ragweave.evals.kit.store.together import *  # noqa: F403
from ragweave.evals.kit.store.turns import *  # noqa: F403
from ragweave.evals.kit.store.workers import *  # noqa: F403
