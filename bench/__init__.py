"""Measures the figures of docs/PERFORMANCE.md: `python -m bench`. Nothing of the server imports this."""
