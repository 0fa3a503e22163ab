"""The description of a deployment, and its readers."""
