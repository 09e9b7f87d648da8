"""The names that ragweave comes with. Data only: nothing here is imported before its name is used."""

from __future__ import annotations

TABLE: dict[str, dict[str, str]] = {
    "nodes": {
        "classifier": "ragweave.orchestrator.nodes.classifier:Classifier",
        "combine": "ragweave.orchestrator.nodes.combine:Combine",
        "compress": "ragweave.orchestrator.nodes.compress:Compress",
        "decomposer": "ragweave.prompts.decomposer:Decomposer",
        "extract": "ragweave.prompts.extract:Extract",
        "generator": "ragweave.prompts.generator:Generator",
        "graph": "ragweave.orchestrator.nodes.graph:GraphNode",
        "judge": "ragweave.prompts.judge:Judge",
        "notify": "ragweave.orchestrator.nodes.notify:Notify",
        "recall": "ragweave.orchestrator.nodes.recall:Recall",
        "remember": "ragweave.orchestrator.nodes.remember:Remember",
        "reply": "ragweave.orchestrator.nodes.reply:Reply",
        "reranker": "ragweave.retrievers.nodes:RerankerNode",
        "retriever": "ragweave.retrievers.nodes:RetrieverNode",
        "split": "ragweave.orchestrator.nodes.split:Split",
        "summariser": "ragweave.prompts.summariser:Summariser",
        "transform": "ragweave.prompts.transform:Transform",
        "transformers": "ragweave.orchestrator.nodes.pipeline:Pipeline",
    },
    "models": {
        "anthropic": "ragweave.orchestrator.models.anthropic:Anthropic",
        "auto": "ragweave.orchestrator.models.auto:Auto",
        "cached": "ragweave.orchestrator.models.composed.cached:Cached",
        "cheapest_of": "ragweave.orchestrator.models.composed.cheapest_of:CheapestOf",
        "extractive": "ragweave.orchestrator.models.extractive:Extractive",
        "fastest_of": "ragweave.orchestrator.models.composed.fastest_of:FastestOf",
        "first_of": "ragweave.orchestrator.models.composed.first_of:FirstOf",
        "gemini": "ragweave.orchestrator.models.gemini:Gemini",
        "langchain": "ragweave.orchestrator.models.langchain:LangChain",
        "openai": "ragweave.orchestrator.models.openai:OpenAI",
        "scripted": "ragweave.orchestrator.models.scripted:Scripted",
        "transformers": "ragweave.orchestrator.models.local.model:Transformers",
        "weighted": "ragweave.orchestrator.models.composed.weighted:Weighted",
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
    "memories": {
        "window": "ragweave.orchestrator.memory.window:Window",
    },
    "checks": {},
    "prompts": {
        "answer_with_citations": "ragweave.prompts.library:answer_with_citations",
        "classify": "ragweave.prompts.library:classify",
        "decompose": "ragweave.prompts.library:decompose",
        "extract": "ragweave.prompts.library:extract",
        "judge": "ragweave.prompts.library:judge",
        "summarise": "ragweave.prompts.library:summarise",
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
