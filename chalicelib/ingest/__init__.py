"""One batch of records: store, quarantine, report what is unfinished."""
