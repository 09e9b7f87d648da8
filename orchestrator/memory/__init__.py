"""What graphs remember between runs: kinds of memory, and where they keep it."""
