"""Budgets: what a graph or a node may use, reserved before each call and settled after it."""
