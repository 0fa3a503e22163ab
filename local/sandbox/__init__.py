"""Lambda's sandboxes: worker processes that run the handlers."""
