"""A dead letter, from the pointers that it holds to a verdict for each record."""
