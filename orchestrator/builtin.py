"""The names that ragweave comes with. Data only: nothing here is imported before its name is used."""

from __future__ import annotations

TABLE: dict[str, dict[str, str]] = {
    "nodes": {
        "decomposer": "ragweave.prompts.decomposer:Decomposer",
        "generator": "ragweave.prompts.generator:Generator",
        "graph": "ragweave.orchestrator.nodes.graph:GraphNode",
        "reply": "ragweave.orchestrator.nodes.reply:Reply",
        "reranker": "ragweave.retrievers.nodes:RerankerNode",
        "retriever": "ragweave.retrievers.nodes:RetrieverNode",
    },
    "models": {
        "auto": "ragweave.orchestrator.models.auto:Auto",
        "extractive": "ragweave.orchestrator.models.extractive:Extractive",
        "openai": "ragweave.orchestrator.models.openai:OpenAI",
        "scripted": "ragweave.orchestrator.models.scripted:Scripted",
    },
    "embedders": {
        "minilm": "ragweave.retrievers.minilm:MiniLM",
    },
    "retrievers": {
        "hybrid": "ragweave.retrievers.hybrid:Hybrid",
    },
    "rerankers": {
        "overlap": "ragweave.retrievers.overlap:Overlap",
    },
    "tools": {},
    "memories": {},
    "checks": {},
    "prompts": {
        "answer_with_citations": "ragweave.prompts.library:answer_with_citations",
        "decompose": "ragweave.prompts.library:decompose",
        "template": "ragweave.prompts.template:Prompt",
    },
    "stores": {
        "memory": "ragweave.orchestrator.stores.memory:MemoryStore",
    },
    "merges": {
        "best": "ragweave.orchestrator.merges:best",
        "extend": "ragweave.orchestrator.merges:extend",
        "first": "ragweave.orchestrator.merges:first",
        "last": "ragweave.orchestrator.merges:last",
        "max": "ragweave.orchestrator.merges:largest",
        "min": "ragweave.orchestrator.merges:smallest",
        "rrf": "ragweave.orchestrator.merges:rrf",
        "sum": "ragweave.orchestrator.merges:total",
        "union": "ragweave.orchestrator.merges:union",
    },
}
