"""Running a graph: the plan, the ledger of its edges, the walker, policies, journal and stream."""
