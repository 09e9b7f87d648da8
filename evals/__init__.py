"""How good a graph is, and whether a change made it better: suites, datasets, metrics, statistics and reports.

Also the pytest plugin, and the conformance kits by which a third party tests its own store, retriever or tool. This
package may import all the others.
"""
