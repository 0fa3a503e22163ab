"""What arrives, and in which order: events, the same events again, poison pills, shuffled or not.

The only place that decides about arrival.  Lazy unless shuffled: what is held back to be sent again is a
small share of a bounded stretch.
"""

import heapq
import random
from collections.abc import Iterable, Iterator

import msgspec

from producer.entry import Entry, event_entry
from producer.poison import pill

#: A duplicate follows its event within so many records.
DUPLICATE_WITHIN = 1000

#: Poison pills come at most this many records apart.
POISON_WITHIN = 200

#: Partition key of a pill sent before any event has named a product.
NO_SERIAL = "SN-POISON"

_fields_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def arrivals(
    events: Iterable[bytes], duplicates: float, poison: int, shuffle: bool, seed: int
) -> Iterator[Entry]:
    """The events in order of arrival, with so many poison pills, and each again with chance `duplicates`.

    Half of the duplicates say the same in another spelling, as a second reporter would.  Shuffling holds
    everything in memory.  The same arguments give the same arrivals.
    """
    if not 0 <= duplicates <= 1 or poison < 0:
        raise ValueError(f"expected duplicates from 0 to 1 and poison >= 0, got {duplicates} and {poison}")
    rng = random.Random(f"arrivals {seed}")
    mixed = _with_duplicates(map(event_entry, events), duplicates, rng)
    if poison:
        mixed = _with_poison(mixed, poison, random.Random(f"poison {seed}"))
    if shuffle:
        everything = list(mixed)
        rng.shuffle(everything)
        mixed = iter(everything)
    return mixed


def _with_duplicates(entries: Iterable[Entry], share: float, rng: random.Random) -> Iterator[Entry]:
    held: list[tuple[int, int, Entry]] = []  # when due, then in which order, then what
    for number, entry in enumerate(entries):
        yield entry
        if share and rng.random() < share:
            due = number + 1 + int(rng.random() * DUPLICATE_WITHIN)
            heapq.heappush(held, (due, number, _again(entry, rng)))
        while held and held[0][0] <= number:
            yield heapq.heappop(held)[2]
    while held:
        yield heapq.heappop(held)[2]


def _again(entry: Entry, rng: random.Random) -> Entry:
    data = entry.data
    if rng.random() < 0.5:
        # Raw keeps every value as it is spelled; only the order of the fields changes.
        data = msgspec.json.encode(dict(reversed(_fields_of(data).items())))
    return Entry(data, entry.partition_key, "duplicate")


def _with_poison(entries: Iterable[Entry], count: int, rng: random.Random) -> Iterator[Entry]:
    sent = 0
    serial = NO_SERIAL
    wait = rng.randrange(POISON_WITHIN)
    for entry in entries:
        yield entry
        serial = entry.partition_key
        if wait == 0 and sent < count:
            yield Entry(pill(sent, serial, rng), serial, "poison")
            sent += 1
            wait = rng.randrange(POISON_WITHIN)
        elif wait:
            wait -= 1
    for number in range(sent, count):
        yield Entry(pill(number, serial, rng), serial, "poison")
