"""Documents in and out: loaders, chunking, indexes, fusion and reranking, and the nodes that use them.

The contracts (`Retriever`, `Embedder`, `Reranker`) live in `ragweave.orchestrator`; here are lexical, FAISS and Chroma
indexes, what fills them, and what puts their results in order. This package imports `ragweave.orchestrator` only.
"""
