"""An EPC is accepted wherever a serial is, in every spelling, and finds what an earlier serial holds."""

from pathlib import Path
from urllib.parse import quote, urljoin

import pytest
import requests
from chalice.test import Client

from tests.support import api_process
from tests.support.api_client import flat, follow, keep, notes, numbers, refusal
from tests.support.lambda_events import wire

SERIAL = "gs1:01:10614141073464:21:S77"
URN = "urn:epc:id:sgtin:0614141.107346.S77"
SPELLINGS = [
    URN,
    "https://id.gs1.org/01/10614141073464/21/S77",
    "https://brand.example/gtin/10614141073464/lot/L%2F1/ser/S77?17=290101",
    "(01)10614141073464(10)L/1(21)S77",
    "]C1011061414107346410L/1\x1d21S77",
    "0110614141073464" + "21S77",
    SERIAL,
]


def path(epc: str) -> str:
    return "/products/" + quote(epc, safe="")


@pytest.mark.parametrize("epc", SPELLINGS)
def test_a_product_is_found_by_every_spelling_of_its_epc(client: Client, epc: str) -> None:
    keep(client, wire(SERIAL, "theft"))

    product = client.http.get(path(epc))
    events = client.http.get(path(epc) + "/events")

    assert (product.status_code, events.status_code) == (200, 200), product.body
    assert product.json_body["serial"] == events.json_body["serial"] == SERIAL
    assert product.json_body["status"] == "stolen"


@pytest.mark.parametrize("epc", [epc for epc in SPELLINGS if not epc.startswith("0")])
def test_the_search_box_leads_to_the_serial_that_an_epc_stands_for(client: Client, epc: str) -> None:
    response = client.http.get("/?serial=" + quote(f" {epc} ", safe=""))

    assert response.status_code == 303
    assert response.headers["Location"].endswith("products/gs1%3A01%3A10614141073464%3A21%3AS77")


@pytest.mark.parametrize(
    ("epc", "sentence"),
    [
        ("https://id.gs1.org/01/10614141073463/21/S77", "the check digit is 3, expected 4"),
        ("https://id.gs1.org/01/10614141073464", "names a class and has no serial"),
        ("https://id.gs1.org/ARHKVAdpQg5RHA", "a compressed Digital Link has to be written out"),
        ("(01)10614141073464(21)", "serial: '(01)10614141073464(21)': expected"),
        ("https://a/01/" + "1" * 3000, "at most 2,048 characters, got 3,013"),
        ("S/N", "expected 1 to 128 of A-Z a-z 0-9 . _ : -, a letter or digit first, or an EPC; got 'S/N'"),
    ],
)
def test_what_is_no_epc_of_a_thing_is_refused_everywhere(client: Client, epc: str, sentence: str) -> None:
    for address in ("/?serial=" + quote(epc, safe=""), path(epc), path(epc) + "/events"):
        assert sentence in refusal(client.http.get(address))


@pytest.mark.parametrize("epc", SPELLINGS)
def test_what_is_stored_under_a_urn_is_found_by_every_spelling(client: Client, epc: str) -> None:
    keep(client, wire(URN, "theft"))

    assert client.http.get(path(epc)).json_body["serial"] == URN
    assert client.http.get(path(epc) + "/events").json_body["serial"] == URN


def test_the_serial_of_today_goes_before_an_earlier_one(client: Client) -> None:
    keep(client, wire(URN, "theft"), wire(SERIAL, "production"))

    assert client.http.get(path(URN)).json_body["status"] == "produced"
    exact = client.http.get(path("urn:x-lifecycle:serial:" + URN))
    assert exact.json_body["status"] == "stolen"


def test_somebodys_own_serial_of_digits_goes_before_what_a_scanner_would_read(client: Client) -> None:
    keep(client, wire("011061414107346421S77", "theft"), wire(SERIAL, "production"))

    assert client.http.get("/products/011061414107346421S77").json_body["status"] == "stolen"


@pytest.mark.parametrize("epc", [URN, SPELLINGS[2]])
def test_pages_behind_an_earlier_serial_are_followed_to_their_end(client: Client, epc: str) -> None:
    keep(client, *notes(60, serial=URN))

    product = client.http.get(path(epc))
    pages = [numbers(page) for page in follow(client, path(epc) + "/events?limit=25&order=asc")]
    rest = client.http.get(urljoin(path(epc), product.json_body["next"]))

    assert flat(pages) == list(range(60))
    assert numbers(rest) == list(range(9, -1, -1))


def test_an_unknown_epc_is_named_as_the_serial_that_it_stands_for(client: Client) -> None:
    assert f"no history for product '{SERIAL}'" in refusal(client.http.get(path(URN)), 404)


def test_slashes_of_a_digital_link_travel_percent_encoded(stage: str, client: Client, tmp_path: Path) -> None:
    keep(client, wire("gs1:01:10614141073464:21:A_2FB", "theft"))
    link = "https://brand.example/01/10614141073464/21/A%2FB?17=290101"

    with api_process.api(tmp_path / "log") as url:
        by_path = requests.get(url + path(link), timeout=10)
        by_box = requests.get(url, params={"serial": link}, timeout=10)

    assert by_path.json()["status"] == by_box.json()["status"] == "stolen"
    assert by_box.url == f"{url}/products/gs1%3A01%3A10614141073464%3A21%3AA_2FB"
