"""Foreign text in our own sentences."""


def quoted(text: str) -> str:
    """Quote and escape a value for an error message, cut to 60 characters."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")
