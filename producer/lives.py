"""Lives of products: lifecycle events that make sense together.

Nobody services what was never produced: a life begins with production, serialization, inventory and
registration by a dealer, and then goes through service, warranty, notes, theft and recovery,
refabrication and, for some, retirement.  Mistakes happen too, and are taken out by a `void`.  The events
of one product are strictly later one than the other and none is later than `now`, so a history read back
has no anomaly.

Everything follows from the seed and `now`: the same two give the same bytes.  Another `now` gives other
products, because the same product living twice would make no sense.
"""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import msgspec

from chalicelib.domain import events as wire
from producer.spelling import SERIALS, spelled_serial, spelled_time, spelled_uuid7
from producer.world import Place, World, world

#: Lives that go on at the same time; bounds memory whatever the number of products.
CONCURRENT_LIVES = 1000

#: How long a life lasts up to `now`, in days.
SHORTEST_LIFE, LONGEST_LIFE = 20, 3000

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECOND = 1_000_000  # microseconds
_DAY = 86_400 * _SECOND

_OPENING = ("production", "serialization", "inventory", "dealer_registration")
_AFTER_REFABRICATION = ("inventory", "dealer_registration")
# What comes next while a product is in use, by weight.
_IN_USE = (
    *("service",) * 50,
    *("note",) * 18,
    *("warranty",) * 14,
    *("dealer_registration",) * 6,
    *("theft",) * 6,
    *("refabrication",) * 4,
    *("mistake",) * 2,
)
_MISTAKEN = ("service", "warranty", "retirement", "theft")

_T = TypeVar("_T")

_encode = msgspec.json.encode


def lives(events: int, products: int, seed: int, now: datetime) -> Iterator[bytes]:
    """Exactly `events` wire events (JSON bytes) of `products` products, each product's in order.

    Products take turns, and with fewer events than products only the first ones are born.  `now` is an
    aware datetime, not before 1980.
    """
    if events < 0 or products < 1:
        raise ValueError(f"expected events >= 0 and products >= 1, got {events} and {products}")
    rng = random.Random(f"lives {seed} {now.astimezone(timezone.utc).isoformat()}")
    now_us = (now - _EPOCH) // timedelta(microseconds=1)
    around = world(seed)
    unborn = min(products, events)
    left = events
    # Odd, so that multiplying by it visits every serial once before any comes again.
    serial, step = rng.randrange(SERIALS), rng.randrange(1, SERIALS, 2)
    alive: list[Iterator[bytes]] = []
    while alive or unborn:
        while unborn and len(alive) < CONCURRENT_LIVES:
            length = left if unborn == 1 else _share(left, unborn, rng)
            serial = (serial + step) % SERIALS
            alive.append(iter(_Life(spelled_serial(serial), length, around, rng, now_us)))
            left -= length
            unborn -= 1
        turn = int(rng.random() * len(alive))
        event = next(alive[turn], None)
        if event is None:
            alive[turn] = alive[-1]
            alive.pop()
        else:
            yield event


def _share(left: int, unborn: int, rng: random.Random) -> int:
    """How many of the events left this product gets: half to one and a half times the fair share.

    Never so many that nothing would be left for one of the others.
    """
    return max(1, int(left / unborn * (0.5 + rng.random())))


class _Life:
    """One product: iterate to live it."""

    def __init__(self, serial: str, length: int, around: World, rng: random.Random, now_us: int) -> None:
        self._serial = serial
        self._length = length
        self._around = around
        self._rng = rng
        self._end_us = now_us - _SECOND
        self._at_us = self._end_us - int((SHORTEST_LIFE + rng.random() * LONGEST_LIFE) * _DAY)
        self._plant = self._pick(around.plants)
        self._warehouse = self._pick(around.warehouses)
        self._dealer = self._pick(around.dealers)
        self._model = self._pick(around.models)
        self._odometer_km = 0
        self._report = ""
        self._last = b""  # the newest event, for a void to name
        self._describe: dict[str, Callable[[], tuple[Place, dict[str, Any]]]] = {
            "production": self._production,
            "serialization": self._serialization,
            "inventory": self._inventory,
            "dealer_registration": self._dealer_registration,
            "service": self._service,
            "warranty": self._warranty,
            "note": self._note,
            "theft": self._theft,
            "recovery": self._recovery,
            "refabrication": self._refabrication,
            "retirement": self._retirement,
            "void": self._void,
        }

    def __iter__(self) -> Iterator[bytes]:
        planned = list(reversed(_OPENING))
        is_stolen = is_retired = False
        random_ = self._rng.random
        for left in range(self._length, 0, -1):
            if planned:
                type_ = planned.pop()
            elif is_retired:
                type_ = "note"
            elif is_stolen:
                type_ = "recovery" if random_() < 0.5 else "note"
                is_stolen = type_ == "note"
            elif left <= 2 and random_() < 0.2:
                type_ = "retirement"
                is_retired = True
            else:
                type_ = _IN_USE[int(random_() * len(_IN_USE))]
                if type_ == "mistake" and left == 1:
                    type_ = "note"  # nobody is left to notice
                if type_ == "mistake":
                    type_ = self._pick(_MISTAKEN)
                    planned.append("void")
                elif type_ == "theft":
                    is_stolen = True
                elif type_ == "refabrication":
                    planned.extend(reversed(_AFTER_REFABRICATION))
            self._last = self._event(type_, left)
            yield self._last

    def _event(self, type_: str, left: int) -> bytes:
        reporter, metadata = self._describe[type_]()
        event: dict[str, Any] = {
            "serial": self._serial,
            "type": type_,
            "occurred_at": self._next_time(reporter, left),
        }
        if self._rng.random() < 0.9:  # some reporters know no event ids
            event["event_id"] = spelled_uuid7(self._at_us // 1000, self._rng.getrandbits(74))
        event["source"] = reporter.source
        event["metadata"] = metadata
        return _encode(event)

    def _next_time(self, reporter: Place, left: int) -> str:
        """Move on in time, at least a microsecond, leaving as many for the events still to come."""
        free = self._end_us - self._at_us - left
        at = self._at_us + 1 + int(free * self._rng.random() * 2 / (left + 1))
        unit = 10 ** max(0, 6 - reporter.digits)
        digits = reporter.digits
        if at - at % unit > self._at_us:
            at -= at % unit
        else:
            digits = 6  # this reporter's clock is too coarse to tell the two events apart
        self._at_us = at
        # Clocks finer than a microsecond: the digits after it are as good as random.
        nanosecond = self._rng.randrange(1000) if digits > 6 else 0
        return spelled_time(at, nanosecond, digits, reporter.offset_minutes)

    def _pick(self, pool: tuple[_T, ...]) -> _T:
        return pool[int(self._rng.random() * len(pool))]

    def _price(self, least: int, most: int) -> msgspec.Raw:
        """A price with its cents as written, which a float would not keep (129.90)."""
        level = self._dealer.price_level
        cents = int((least + (most - least) * self._rng.random()) * 100 * level)
        return msgspec.Raw(f"{cents // 100}.{cents % 100:02d}".encode())

    def _production(self) -> tuple[Place, dict[str, Any]]:
        line = int(self._rng.random() * 9) + 1
        return self._plant, {
            "plant": self._plant.name,
            "country": self._plant.country,
            "line": line,
            "model": self._model,
            "firmware": f"{line % 3 + 1}.{int(self._rng.random() * 20)}.0",
        }

    def _serialization(self) -> tuple[Place, dict[str, Any]]:
        return self._plant, {
            "plant": self._plant.name,
            "model": self._model,
            "label": f"{self._model}/{self._serial[3:]}",
            "printed": True,
        }

    def _inventory(self) -> tuple[Place, dict[str, Any]]:
        bay = int(self._rng.random() * 480)
        return self._warehouse, {
            "warehouse": self._warehouse.name,
            "city": self._warehouse.city,
            "country": self._warehouse.country,
            "bin": f"{'ABCDEFGH'[bay % 8]}-{bay // 8:02d}",
        }

    def _dealer_registration(self) -> tuple[Place, dict[str, Any]]:
        self._dealer = self._pick(self._around.dealers)
        return self._dealer, {
            "dealer": self._dealer.name,
            "city": self._dealer.city,
            "country": self._dealer.country,
            "price": self._price(400, 9000),
            "currency": self._dealer.currency,
        }

    def _service(self) -> tuple[Place, dict[str, Any]]:
        self._odometer_km += int(self._rng.random() * 4000)
        return self._dealer, {
            "dealer": self._dealer.name,
            "city": self._dealer.city,
            "country": self._dealer.country,
            "odometer_km": self._odometer_km,
            "work": self._pick(("inspection", "brakes", "battery", "firmware update", "repair")),
            "price": self._price(20, 600),
            "currency": self._dealer.currency,
        }

    def _warranty(self) -> tuple[Place, dict[str, Any]]:
        return self._dealer, {
            "dealer": self._dealer.name,
            "country": self._dealer.country,
            "claim": f"W-{self._rng.getrandbits(32):08x}",
            "part": self._pick(self._around.parts),
            "amount": self._price(15, 900),
            "currency": self._dealer.currency,
            "approved": self._pick((True, True, True, False, None)),
        }

    def _note(self) -> tuple[Place, dict[str, Any]]:
        return self._dealer, {"text": self._pick(self._dealer.notes), "country": self._dealer.country}

    def _theft(self) -> tuple[Place, dict[str, Any]]:
        self._report = f"{self._dealer.country}-{self._rng.getrandbits(36):09x}"
        return self._dealer, {
            "city": self._dealer.city,
            "country": self._dealer.country,
            "report": self._report,
        }

    def _recovery(self) -> tuple[Place, dict[str, Any]]:
        return self._dealer, {
            "city": self._dealer.city,
            "country": self._dealer.country,
            "report": self._report,
            "condition": self._pick(("good", "damaged", "parts missing")),
        }

    def _refabrication(self) -> tuple[Place, dict[str, Any]]:
        parts = [self._pick(self._around.parts) for _ in range(int(self._rng.random() * 4))]
        return self._plant, {
            "plant": self._plant.name,
            "country": self._plant.country,
            "replaced": [{"part": part, "new": self._rng.random() < 0.8} for part in parts],
        }

    def _retirement(self) -> tuple[Place, dict[str, Any]]:
        return self._dealer, {
            "dealer": self._dealer.name,
            "country": self._dealer.country,
            "reason": self._pick(("worn out", "damaged", "recalled", "customer's wish")),
            "recycled_share": msgspec.Raw(b"0.%02d" % int(self._rng.random() * 100)),
        }

    def _void(self) -> tuple[Place, dict[str, Any]]:
        return self._dealer, {
            "position": wire.decode(self._last).position,
            "why": self._pick(("wrong product", "entered twice", "entered by mistake")),
        }
