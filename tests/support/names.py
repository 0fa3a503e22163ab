"""A test's own stage under the name of the laptop's, which may be open and which the commands know."""

from chalicelib import settings


def as_local() -> dict[str, str]:
    """The variables with which stage `local` is the stage that this process's environment names now."""
    return {
        "LIFECYCLE_STREAM": settings.stream_name(),
        "LIFECYCLE_HISTORY_TABLE": settings.history_table(),
        "LIFECYCLE_QUARANTINE_TABLE": settings.quarantine_table(),
        "LIFECYCLE_ACCESS_TABLE": settings.access_table(),
        "LIFECYCLE_DEAD_LETTER_QUEUE": settings.dead_letter_queue(),
        "LIFECYCLE_PARKING_QUEUE": settings.parking_queue(),
        "LIFECYCLE_STAGE": settings.LOCAL,
    }


def open_to_everybody() -> dict[str, str]:
    """The variables with which this process's stage asks nobody for a token."""
    return {**as_local(), "LIFECYCLE_OPEN": "yes"}
