"""Tools of MCP servers: a session that outlives event loops, and what a server offers as tools of a graph."""
