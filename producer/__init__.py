"""Puts lifecycle events on the stream: generated lives of products, or a recorded file."""
