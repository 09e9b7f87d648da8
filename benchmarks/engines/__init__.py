"""One adapter per engine, each run by the interpreter of that engine's own virtual environment."""
