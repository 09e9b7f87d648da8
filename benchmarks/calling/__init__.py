"""What `benchmarks/tools.py` measures, a module for each kind of tool."""
