"""AWS's list prices from one dated file, each with the page it was read from.

A price that is not in the file is never guessed: for another region, copy the file, add what is missing with
its source, and name the copy with `--prices`.
"""

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import msgspec

from chalicelib.errors import ConfigurationError
from ops.planning import capacity

FILE = Path(__file__).with_name("prices.json")

#: The currency of the bill.  Nothing is converted.
CURRENCY = "USD"

#: In US dollars per unit.  A larger price is a slip of the decimal point.
MAX_PRICE = 10**6

_Text = Annotated[str, msgspec.Meta(pattern=r"\S")]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where prices were read: `as_of` is their date or says why not, `read` the day of reading."""

    title: _Text
    url: _Text
    as_of: _Text
    read: _Text
    kind: _Text


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """US dollars for one unit."""

    usd: Decimal
    unit: _Text
    source: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    currency: str
    compiled: _Text
    hours_per_month: int
    about: str
    sources: dict[str, Source]
    regions: dict[str, dict[str, Price]]


class PriceList:
    """The prices of one region."""

    def __init__(self, region: str, file: Path = FILE) -> None:
        """Raises ConfigurationError for a file that is no price list or has nothing of that region."""
        try:
            read = msgspec.json.decode(file.read_bytes(), type=_File)
        except OSError as exc:
            raise ConfigurationError(f"{file}: {exc.strerror}") from exc
        except msgspec.DecodeError as exc:
            raise ConfigurationError(f"{file} is not a price list: {exc}") from exc
        if read.currency != CURRENCY:
            raise ConfigurationError(f"{file}: expected prices in {CURRENCY}, got {read.currency!r}")
        if read.hours_per_month != capacity.HOURS_PER_MONTH:
            raise ConfigurationError(
                f"{file}: expected hours_per_month {capacity.HOURS_PER_MONTH}, which bills are made with, "
                f"got {read.hours_per_month}"
            )
        if region not in read.regions:
            known = ", ".join(sorted(read.regions))
            raise ConfigurationError(
                f"{file.name} has no prices of region {region!r}, it has {known}; add them to a copy, each "
                "with its source, and name the copy with --prices"
            )
        self.region = region
        self.compiled = read.compiled
        self.about = read.about
        self._name = file.name
        self._prices = read.regions[region]
        self._sources = read.sources
        for key, price in self._prices.items():
            if price.source not in read.sources:
                raise ConfigurationError(f"{file}: {region} {key} names a source that is not there")
            if not price.usd.is_finite() or not 0 <= price.usd < MAX_PRICE:
                raise ConfigurationError(
                    f"{file}: {region} {key}: expected a price from 0 to below {MAX_PRICE:,}, got {price.usd}"
                )

    def require(self, keys: set[str]) -> None:
        """Raises ConfigurationError that names every price that is missing."""
        missing = sorted(keys - self._prices.keys())
        if missing:
            raise ConfigurationError(
                f"{self._name} lacks, for {self.region}: {', '.join(missing)}; add them to a copy, each with "
                "its source, and name the copy with --prices"
            )

    def __getitem__(self, key: str) -> Price:
        self.require({key})
        return self._prices[key]

    def source(self, key: str) -> Source:
        """Where that price was read."""
        return self._sources[self[key].source]
