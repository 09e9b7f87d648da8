"""What an agent may do: the tool executor node, the built-in tools, approval policies and MCP.

The contract that a tool keeps (`Tool`) lives in `ragweave.orchestrator`; here are the tools that keep it, and the node
that runs the tool calls of a model's message. This package imports `ragweave.orchestrator` only.
"""
