"""Commands for records in flight or in quarantine."""
