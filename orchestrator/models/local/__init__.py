"""Models on this machine, by path: causal language models that stream, and pipelines; one of each serves all runs."""
