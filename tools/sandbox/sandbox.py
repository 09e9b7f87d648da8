"""Which engine runs the programs: chosen once, by trying to get out of it. There is no third, weaker way."""

from __future__ import annotations

import json
import keyword
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, PrivateAttr

from ragweave.orchestrator.errors import ResourceError, ToolError
from ragweave.tools.sandbox.bubblewrap import Bubblewrap
from ragweave.tools.sandbox.monty import MontyEngine
from ragweave.tools.sandbox.outcome import LONGEST_CODE, Engine, Limits, Outcome

MOST_INPUT = 4_000_000


class PythonSandbox(Limits):
    """Runs Python programs: full CPython behind bubblewrap, or Monty, a small Python that has no machine to reach."""

    engine: Literal["auto", "bubblewrap", "monty"] = Field(
        "auto", description="How programs are run; `auto` takes bubblewrap where its self-test passes, else monty."
    )
    python: str = Field("", description="The interpreter that bubblewrap runs; empty: this one or the system's.")

    _chosen: Engine | None = PrivateAttr(default=None)

    async def start(self) -> str:
        """The name of the engine, once its self-test has passed. Raises ResourceError if none passes: then no program
        is run at all."""
        if self._chosen is None:
            self._chosen = await self._choose()
        return self._chosen.name

    async def _choose(self) -> Engine:
        limits = Limits(**self.model_dump(include=set(Limits.model_fields)))
        engines: list[Engine] = []
        if self.engine in ("auto", "bubblewrap"):
            engines.append(Bubblewrap(limits, python=self.python))
        if self.engine in ("auto", "monty"):
            engines.append(MontyEngine(limits))
        reasons = []
        for engine in engines:
            reason = await engine.test()
            if not reason:
                return engine
            reasons.append(f"{engine.name}: {reason}")
        raise ResourceError(
            f"no sandbox works on this machine, so Python is off ({'; '.join(reasons)})",
            hint="install bubblewrap 0.8 or newer and allow user name spaces, or pip install 'ragweave[sandbox]'",
        )

    async def run(self, code: str, inputs: Mapping[str, Any] | None = None) -> Outcome:
        """What came of a program; `inputs` are JSON values that it finds as names.

        A program that fails or is stopped is an outcome, not an error. Raises ToolError for one that cannot be sent,
        ResourceError where no sandbox works.
        """
        if len(code) > LONGEST_CODE:
            raise ToolError(f"a program may have {LONGEST_CODE:,} characters, and this has {len(code):,}")
        if "\0" in code:
            raise ToolError("the program holds a zero character")
        given = dict(inputs or {})
        for name in given:
            if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
                raise ToolError(f"{name!r} cannot be the name of an input")
        try:
            size = len(json.dumps(given))
        except (TypeError, ValueError):
            raise ToolError("inputs must be JSON values") from None
        if size > MOST_INPUT:
            raise ToolError(f"inputs may have {MOST_INPUT:,} characters, and these have {size:,}")
        await self.start()
        assert self._chosen is not None
        return await self._chosen.run(code, given)
