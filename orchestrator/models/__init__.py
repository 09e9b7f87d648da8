"""Chat models: any OpenAI-compatible endpoint, one that quotes its sources offline, one that says what a test wants."""
