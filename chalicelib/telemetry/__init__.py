"""Logs, metrics and traces of the Lambda functions."""
