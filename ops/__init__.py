"""Verbs for operators: `python -m ops <noun> <verb>`."""
