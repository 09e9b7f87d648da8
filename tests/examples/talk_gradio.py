"""Talks with a Gradio page as its own client does, in the environment that Gradio is installed in.

Questions are lines of the input; as JSON lines come the text that the page shows, again and again, and at last `done`.
"""

from __future__ import annotations

import json
import sys

from gradio_client import Client  # type: ignore[import-not-found]  # it comes with Gradio, not with ragweave


def talk(address: str) -> None:
    """Answer after answer, as one open page."""
    client = Client(address, verbose=False, analytics_enabled=False)
    print(json.dumps({"kind": "open"}), flush=True)
    for question in sys.stdin:
        for text in client.submit(question.strip(), api_name="/answer"):
            print(json.dumps({"kind": "text", "text": text}), flush=True)
        print(json.dumps({"kind": "done"}), flush=True)


if __name__ == "__main__":
    talk(sys.argv[1])
