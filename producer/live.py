"""Input that arrives while we run, such as a pipe from another program: what has come goes out at once."""

import queue
import threading
from collections.abc import Iterable, Iterator

from producer.entry import Entry

#: How long nothing may come before what has come is sent.
PATIENCE_S = 0.2

#: Entries read before the stream takes them; bounds memory.
_AHEAD = 1000


class _End:
    """Says that the input has ended, and with which error if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def polled(entries: Iterable[Entry], patience_s: float = PATIENCE_S) -> Iterator[Entry | None]:
    """The entries as they come, and None whenever none has come for `patience_s`.

    They are read in a thread of their own.  An error there is raised here.
    """
    arrived: queue.Queue[Entry | _End] = queue.Queue(_AHEAD)

    def fill() -> None:
        error = None
        try:
            for entry in entries:
                arrived.put(entry)
        except BaseException as exc:  # whatever it is, it is raised where somebody can act on it
            error = exc
        arrived.put(_End(error))

    # A daemon: a read that waits for the other program cannot be interrupted.
    threading.Thread(target=fill, name="read-input", daemon=True).start()
    while True:
        try:
            entry = arrived.get(timeout=patience_s)
        except queue.Empty:
            yield None
            continue
        if isinstance(entry, _End):
            if entry.error is not None:
                raise entry.error
            return
        yield entry
