"""The whole pipeline on one machine: what AWS runs around the deployed code, for a laptop."""
