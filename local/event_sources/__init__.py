"""Lambda's event source mappings."""
