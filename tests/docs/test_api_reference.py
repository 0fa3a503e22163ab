"""docs/api.md says what the code does: its tables are compared with it."""

import json

from chalicelib.api import negotiation
from chalicelib.epcis import gs1_keys, identifiers, vocabulary
from cli.paths import ROOT

TEXT = (ROOT / "docs" / "api.md").read_text()


def rows(header: str) -> list[list[str]]:
    """The cells of the table whose first row is this one, without back quotes."""
    table = TEXT.partition(f"| {header} |\n")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]


def plain(cell: str) -> str:
    return cell.replace("`", "")


def test_every_address_is_described() -> None:
    described = {plain(address).removeprefix("GET ") for address, _ in rows("address | answers")}
    paths = set(json.loads((ROOT / "chalicelib" / "api" / "openapi.json").read_text())["paths"])

    assert described == paths


def test_every_form_is_described_where_it_is_offered() -> None:
    described = {
        plain(name): (media_type, where) for name, media_type, where in rows("`format=` | media type | where")
    }

    assert set(described) == set(negotiation.FORMATS)
    for name, (media_type, where) in described.items():
        assert media_type.startswith(f"`{negotiation.FORMATS[name]}`")
        assert (where == "both") == (name in negotiation.PRODUCT_FORMATS)


def test_every_oddity_is_described() -> None:
    document = json.loads((ROOT / "chalicelib" / "api" / "openapi.json").read_text())

    described = {plain(code) for code, _ in rows("`code` | what is odd")}

    assert described == set(document["components"]["schemas"]["Anomaly"]["properties"]["code"]["enum"])


def test_the_table_of_epcis_is_the_one_in_the_code() -> None:
    written = {
        plain(type_): vocabulary.Meaning(action, plain(step) or None, plain(disposition) or None)
        for type_, action, step, disposition in rows("lifecycle type | `action` | `bizStep` | `disposition`")
    }

    assert written == vocabulary.MEANINGS


def test_the_examples_of_serial_numbers_hold() -> None:
    for epc, serial in rows("EPC | serial number"):
        assert identifiers.serial_of(plain(epc)) == plain(serial)
        assert identifiers.serial_of(identifiers.epc_of(plain(serial))) == plain(serial)


def test_an_example_stands_there_for_every_key_that_names_a_thing() -> None:
    shown = {plain(serial).split(":")[1] for _, serial in rows("EPC | serial number") if "gs1:" in serial}

    assert shown == {ai for ai, key in gs1_keys.KEYS.items() if key.name != "GMN"}
