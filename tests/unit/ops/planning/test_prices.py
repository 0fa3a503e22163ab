"""The price list: a source for every price, and what would be misread is refused."""

import json
import re
from pathlib import Path

import pytest

from chalicelib.errors import ConfigurationError
from ops import clients
from ops.__main__ import parser
from ops.output import CommandError
from ops.planning import plan, prices
from ops.planning.prices import PriceList
from ops.planning.sizing import MonthlyLoad


def test_every_price_names_a_page_and_the_day_it_was_read() -> None:
    listed = json.loads(prices.FILE.read_text())

    for region in listed["regions"].values():
        for key, price in region.items():
            source = listed["sources"][price["source"]]
            assert source["url"].startswith("https://"), key
            assert re.fullmatch(r"20\d\d-\d\d-\d\d", source["read"]), key
            assert source["as_of"], key
    assert {price["source"] for region in listed["regions"].values() for price in region.values()} == set(
        listed["sources"]
    ), "a source that no price names"


def test_a_region_without_a_price_says_which_and_what_to_do() -> None:
    ireland = PriceList("eu-west-1")
    with pytest.raises(ConfigurationError, match=r"eu-west-1: .*kinesis\.stream_hour.*--prices"):
        plan.compare(MonthlyLoad(), ireland)
    with pytest.raises(ConfigurationError, match="no prices of region 'mars-1'"):
        PriceList("mars-1")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "is not a price list"),
        ('{"regions": {}}', "is not a price list"),
        (None, "No such file"),
    ],
)
def test_an_unusable_price_list_is_one_sentence(tmp_path: Path, text: str | None, fault: str) -> None:
    file = tmp_path / "prices.json"
    if text is not None:
        file.write_text(text)
    args = parser().parse_args(["plan", "--prices", str(file)])

    with pytest.raises(CommandError, match=fault) as caught, clients.reported():
        args.run(args)

    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_a_price_without_its_source_is_refused(tmp_path: Path) -> None:
    listed = json.loads(prices.FILE.read_text())
    listed["regions"]["us-east-1"]["kinesis.in_gb"]["source"] = "hearsay"
    (tmp_path / "prices.json").write_text(json.dumps(listed))

    with pytest.raises(ConfigurationError, match=r"kinesis\.in_gb names a source that is not there"):
        PriceList("us-east-1", tmp_path / "prices.json")


def spoilt(tmp_path: Path, *where: str, value: object) -> Path:
    """Our price list with one value replaced."""
    listed = json.loads(prices.FILE.read_text())
    inner = listed
    for key in where[:-1]:
        inner = inner[key]
    assert where[-1] in inner
    inner[where[-1]] = value
    (tmp_path / "prices.json").write_text(json.dumps(listed))
    return tmp_path / "prices.json"


@pytest.mark.parametrize("usd", ["NaN", "sNaN", "Infinity", "-Infinity", "1E+999999", "1E+6", "-0.01"])
def test_a_price_that_none_can_be_is_refused(tmp_path: Path, usd: str) -> None:
    file = spoilt(tmp_path, "regions", "us-east-1", "kinesis.in_gb", "usd", value=usd)

    args = parser().parse_args(["plan", "--prices", str(file)])

    with pytest.raises(ConfigurationError, match=r"in_gb: expected a price from 0 to below 1,000,000"):
        args.run(args)


@pytest.mark.parametrize(
    ("where", "value", "fault"),
    [
        (("currency",), "EUR", "expected prices in USD, got 'EUR'"),
        (("hours_per_month",), 720, "expected hours_per_month 730"),
        (("sources", "sqs-2026", "as_of"), "", "is not a price list"),
        (("sources", "sqs-2026", "read"), " ", "is not a price list"),
        (("compiled",), "", "is not a price list"),
    ],
)
def test_a_price_list_that_would_be_misread_is_refused(
    tmp_path: Path, where: tuple[str, ...], value: object, fault: str
) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        PriceList("us-east-1", spoilt(tmp_path, *where, value=value))
