"""How fast it is, beside what a user would write instead: `python -m benchmarks`."""
