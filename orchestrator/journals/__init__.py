"""What a journal tells after the run: replay, forks, differences, the timeline. Pure functions over a plan and events:
nothing here calls a node, waits or reads a clock."""
