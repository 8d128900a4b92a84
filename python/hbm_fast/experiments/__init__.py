"""The questions of Le (2020), answered by experiment."""
