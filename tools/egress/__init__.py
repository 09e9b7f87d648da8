"""HTTP that a model may steer: only to allowed hosts, never to an address of the inside.

A model that reads a hostile page may be talked into fetching `http://169.254.169.254/`. Names prove nothing, so each
address is judged where the connection is made, and the connection goes to the address that was judged.
"""

from __future__ import annotations

from ragweave.orchestrator.errors import Lost
from ragweave.tools.egress.fetch import Browser, Fetched
from ragweave.tools.egress.policy import Egress

__all__ = ["Browser", "Egress", "Fetched", "Lost"]
