"""OpenAPI documents as tools: read, checked, told to a model as JSON schemas, and turned into requests.

A document comes from a stranger. It is data: it cannot name another host than those that the author lets pass, its
references stay inside it, its patterns are never run, and what it says is cut to what a model has to know.
"""
