"""Node types that need no model, no index and no tool."""
