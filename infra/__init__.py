"""The description of a deployment, and its only readers."""
