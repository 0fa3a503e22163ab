"""The event and what a history of events means.  Imports nothing of AWS."""
