"""The dealers, plants and people that products meet in their lives, drawn from faker.

The only place that calls faker.  A company name costs it up to 130 µs, so everything slow is drawn once
per run and lives pick from these pools.
"""

import random
from functools import lru_cache
from typing import NamedTuple

from faker import Faker

#: Where dealers are: faker's locale, country, standard offset in minutes east of UTC, currency, price level.
MARKETS = (
    ("de_DE", "DE", 60, "EUR", 1),
    ("fr_FR", "FR", 60, "EUR", 1),
    ("en_GB", "GB", 0, "GBP", 1),
    ("en_US", "US", -300, "USD", 1),
    ("pt_BR", "BR", -180, "BRL", 5),
    ("en_IN", "IN", 330, "INR", 90),
    ("ja_JP", "JP", 540, "JPY", 150),
    ("ne_NP", "NP", 345, "NPR", 140),
)
DEALERS_PER_MARKET = 40
NOTES_PER_MARKET = 8

#: How many fractional digits a reporter's clock writes: none, milliseconds, microseconds, 100 ns, ns.
CLOCKS = (0, 3, 3, 3, 6, 6, 7, 9)

PLANTS = 6
WAREHOUSES_PER_MARKET = 2


class Place(NamedTuple):
    """Somebody who reports events: a plant, a warehouse or a dealer."""

    source: str
    name: str
    city: str
    country: str
    offset_minutes: int
    digits: int  # of the fraction, as this reporter's clock writes it
    currency: str
    price_level: int
    notes: tuple[str, ...]


class World(NamedTuple):
    """Pools to pick from."""

    plants: tuple[Place, ...]
    warehouses: tuple[Place, ...]
    dealers: tuple[Place, ...]
    models: tuple[str, ...]
    parts: tuple[str, ...]


@lru_cache(maxsize=4)
def world(seed: int) -> World:
    """The same world for the same seed.  Takes about 150 ms."""
    rng = random.Random(f"world {seed}")
    plants: list[Place] = []
    warehouses: list[Place] = []
    dealers: list[Place] = []
    for market in MARKETS:
        fake = Faker(market[0])
        fake.seed_instance(rng.getrandbits(64))
        notes = tuple(fake.sentence(nb_words=6) for _ in range(NOTES_PER_MARKET))
        for _ in range(DEALERS_PER_MARKET):
            dealers.append(_place("dealer", len(dealers), market, fake, rng, notes))
        if len(plants) < PLANTS:
            plants.append(_place("plant", len(plants), market, fake, rng, notes))
        for _ in range(WAREHOUSES_PER_MARKET):
            warehouses.append(_place("warehouse", len(warehouses), market, fake, rng, notes))
    letters = "ABCDEFGHKLMNPRSTUVWXYZ"
    return World(
        plants=tuple(plants),
        warehouses=tuple(warehouses),
        dealers=tuple(dealers),
        models=tuple(
            f"{rng.choice(letters)}{rng.choice(letters)}-{rng.randrange(100, 1000)}" for _ in range(24)
        ),
        parts=tuple(f"{rng.choice(letters)}{rng.randrange(10**6, 10**7)}" for _ in range(200)),
    )


def _place(
    kind: str,
    number: int,
    market: tuple[str, str, int, str, int],
    fake: Faker,
    rng: random.Random,
    notes: tuple[str, ...],
) -> Place:
    _, country, offset_minutes, currency, price_level = market
    return Place(
        source=f"{kind}-{number + 1:04d}",
        name=fake.company(),
        city=fake.city(),
        country=country,
        offset_minutes=offset_minutes,
        digits=6 if kind == "plant" else rng.choice(CLOCKS),
        currency=currency,
        price_level=price_level,
        notes=notes,
    )
