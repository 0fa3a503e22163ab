"""`ops doctor` counts products under earlier serials without reading a table to its end."""

import pytest
from chalice.test import Client

from chalicelib import settings
from ops import clients
from ops.deploy import epc_spellings
from ops.deploy.epc_spellings import Sample
from tests.support.api_client import at, keep
from tests.support.lambda_events import wire


def sampled() -> Sample:
    clients.reset()
    return epc_spellings.sample(clients.client("dynamodb"), settings.history_table())


def test_products_are_counted_once_and_earlier_serials_among_them(client: Client) -> None:
    for serial in (
        *("SN-1", "gs1:01:10614141073464:21:S77", "urn:example:1"),
        *("urn:epc:id:sgtin:0614141.107346.S77", "https:_2F_2Fb.example_2F01_2F10614141073464_2F21_2FS77"),
    ):
        keep(client, wire(serial, "note", at(1)), wire(serial, "note", at(2)))

    assert sampled() == Sample(products=5, earlier=2, is_whole=True)


def test_a_large_table_is_read_at_its_beginning(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epc_spellings, "MAX_PAGES", 1)
    keep(client, *(wire(f"SN-{number}", metadata={"x": "x" * 390_000}) for number in range(5)))

    found = sampled()

    assert not found.is_whole
    assert 0 < found.products < 5
