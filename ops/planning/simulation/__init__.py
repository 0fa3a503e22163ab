"""A discrete-event simulation of the pipeline."""
