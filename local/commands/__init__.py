"""The commands that a person starts on a laptop, and what they print."""
