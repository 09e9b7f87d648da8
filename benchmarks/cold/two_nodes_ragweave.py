"""A two-node ragweave graph, loaded from YAML with a plugin, in a fresh process."""

from pathlib import Path

from ragweave import Graph

graph = Graph.load(Path(__file__).with_name("two_nodes.yaml"), plugins=["two_nodes_plugin.py"])
print(graph.run(n=0)["n"])
