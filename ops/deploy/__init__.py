"""Commands for a stage on AWS."""
