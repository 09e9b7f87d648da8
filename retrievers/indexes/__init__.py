"""Indexes: where passages lie and are found again."""
