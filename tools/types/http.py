"""`type: http`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from pydantic import ConfigDict

from ragweave.orchestrator.contracts import ToolSpec
from ragweave.tools.egress.fetch import READING, Browser
from ragweave.tools.egress.policy import Egress
from ragweave.tools.function import MethodTool


class Http(MethodTool, Egress, type="http"):
    """Pages and interfaces of the hosts that are named; nothing of the inside, whatever a name resolves to."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    calls = {"fetch": "read"}
    leaves: ClassVar[bool] = True
    """What it is given goes to others: the checker warns where it meets private data."""

    def specs(self) -> Sequence[ToolSpec]:
        """The one tool; with methods that change something, a call counts as an effect."""
        (spec,) = super().specs()
        hosts = ", ".join(self.hosts)
        said = f"{spec.description} Hosts: {hosts}. Methods: {', '.join(self.methods)}."
        changes = not READING.issuperset(self.methods)
        return (replace(spec, description=said, effects="external" if changes else "read"),)

    async def fetch(self, url: str, method: str = "GET", body: str = "", content_type: str = "") -> str:
        """Fetch a page or call an interface by HTTP.

        Args:
            url: The address, such as https://example.org/page.
            body: What to send.
            content_type: Of what is sent, such as application/json.
        """
        headers = {"content-type": content_type} if content_type else {}
        found = await Browser(self).fetch(url, method, headers=headers, body=body.encode() if body else None)
        cut = "\n(the rest was cut)" if found.truncated else ""
        return f"{found.status} {found.url}\n\n{found.text}{cut}"
