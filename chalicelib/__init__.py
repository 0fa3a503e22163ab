"""Everything that ships beside app.py: the event model, ingest, the history, triage and the API."""
