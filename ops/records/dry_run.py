"""Tables that keep nothing, so that a dry run runs the code of the real one.

What only DynamoDB could refuse counts as done.
"""

from collections.abc import Sequence

from chalicelib.deadline import Deadline
from chalicelib.tables.cases import Case
from chalicelib.tables.history import History, Written
from chalicelib.tables.items import Item
from chalicelib.tables.markers import Marker
from chalicelib.tables.quarantine import Quarantine


class NoHistory(History):
    """A history whose writes succeed and leave nothing."""

    def __init__(self) -> None:
        """No client: there is nothing to talk to."""

    def write(self, items: Sequence[Item | Marker], deadline: Deadline) -> Written:
        """Return that every item is written."""
        return Written(unfinished=[], refused=[])


class NoQuarantine(Quarantine):
    """A quarantine that takes everything and keeps nothing."""

    def __init__(self) -> None:
        """No client: there is nothing to talk to."""

    def put_patiently(self, case: Case, deadline: Deadline) -> bool:
        """Return that the record is quarantined."""
        return True
