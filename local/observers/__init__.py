"""Counters and gauges of a running pipeline."""
