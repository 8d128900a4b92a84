"""Amortized inference with torch."""
