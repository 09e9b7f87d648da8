"""What is found before a graph runs: its structure, its data flow, its conditions."""
