"""Graph files: reading YAML with positions, building nodes from settings, and describing the language."""
