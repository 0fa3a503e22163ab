"""Faults injected on request."""
