"""EPCIS through the whole pipeline: a partner's document in, our history out, and in again elsewhere."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from chalice.test import Client

from cli.paths import ROOT
from producer import epcis_input
from tests.support.api_client import at, keep, notes
from tests.support.lambda_events import wire

DOCUMENT = {
    "@context": [
        "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
        {"acme": "https://acme.example/epcis/"},
    ],
    "type": "EPCISDocument",
    "schemaVersion": "2.0",
    "creationDate": "2026-01-02T00:00:00Z",
    "sender": "urn:epc:id:sgln:0353579.00001.0",
    "epcisBody": {
        "eventList": [
            {
                "type": "ObjectEvent",
                "eventTime": "2026-01-01T10:00:00Z",
                "eventTimeZoneOffset": "+01:00",
                "action": "ADD",
                "bizStep": "commissioning",
                "disposition": "active",
                "epcList": ["https://id.gs1.org/01/70614141123451/21/A%2F1", "urn:epc:id:giai:4000001.12345"],
                "readPoint": {"id": "urn:epc:id:sgln:0614141.07346.1234"},
                "acme:weight": 1.50,
            },
            {
                "type": "ObjectEvent",
                "eventTime": "2026-01-02T10:00:00Z",
                "eventTimeZoneOffset": "+01:00",
                "action": "OBSERVE",
                "bizStep": "receiving",
                "quantityList": [{"epcClass": "urn:epc:class:lgtin:4012345.012345.998877", "quantity": 200}],
            },
        ]
    },
}

SERIAL = "gs1:01:70614141123451:21:A_2F1"


def asked(client: Client, path: str) -> dict[str, Any]:
    response = client.http.get(path, headers={"Accept": "application/ld+json"})
    assert response.status_code == 200, response.body
    assert response.headers["Content-Type"] == "application/ld+json"
    answer: dict[str, Any] = json.loads(response.body)
    return answer


def sent(tmp_path: Path, document: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "document.jsonld"
    path.write_text(json.dumps(document))
    return subprocess.run(
        [sys.executable, "-m", "producer", "send", "--from", str(path), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_a_partners_document_becomes_histories_and_comes_back_out(client: Client, tmp_path: Path) -> None:
    ran = sent(tmp_path, DOCUMENT, "--dry-run")
    assert "event 2: quantityList: 'urn:epc:class:lgtin:4012345.012345.998877' is a class-level" in ran.stderr
    keep(client, *(line.encode() for line in ran.stdout.splitlines()))

    story = client.http.get(f"/products/{SERIAL}").json_body
    document = asked(client, f"/products/{SERIAL}")
    (event,) = document["epcisBody"]["eventList"]

    assert (story["status"], story["since"], story["anomalies"]) == (
        "produced",
        "2026-01-01T11:00:00+01:00",
        [],
    )
    assert story["history"][0]["source"] == "urn:epc:id:sgln:0353579.00001.0"
    assert event["epcList"] == ["https://id.gs1.org/01/70614141123451/21/A%2F1"]
    assert event["acme:weight"] == 1.5
    assert document["@context"][1] == {"acme": "https://acme.example/epcis/"}
    assert event["readPoint"] == {"id": "urn:epc:id:sgln:0614141.07346.1234"}


def test_a_partners_error_declaration_takes_the_theft_out(client: Client, tmp_path: Path) -> None:
    theft = {
        "type": "ObjectEvent",
        "eventID": "urn:uuid:11111111-1111-4111-8111-111111111112",
        "eventTime": "2026-04-03T20:33:31Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "disposition": "stolen",
        "epcList": ["urn:epc:id:sgtin:0614141.107346.STOLEN1"],
    }
    declaration = {"declarationTime": "2026-05-01T00:00:00Z", "reason": "did_not_occur"}
    statuses = []
    for sender, event in [("acme", theft), ("other", {**theft, "errorDeclaration": declaration})]:
        ran = sent(tmp_path, {**DOCUMENT, "sender": sender, "epcisBody": {"eventList": [event]}}, "--dry-run")
        keep(client, *(line.encode() for line in ran.stdout.splitlines()))
        statuses.append(client.http.get("/products/gs1:01:10614141073464:21:STOLEN1").json_body["status"])
    retraction, stolen = asked(client, "/products/gs1:01:10614141073464:21:STOLEN1")["epcisBody"]["eventList"]

    assert statuses == ["stolen", "unknown"]
    assert retraction["errorDeclaration"] == declaration
    assert {name: retraction[name] for name in theft} == {name: stolen[name] for name in theft} == theft
    assert "errorDeclaration" not in stolen


def test_a_history_that_went_out_comes_in_as_itself(client: Client, tmp_path: Path) -> None:
    keep(
        client,
        *notes(60),
        wire("SN-1", "theft", at(99), source="police", event_id="e 1", metadata={"": [1.10, None]}),
    )
    first, second = (
        asked(client, f"/products/SN-1/events?limit=40{more}")
        for more in ("", "&cursor=" + cursor_behind(client, 40))
    )

    lines = b""
    for document in (first, second):
        path = tmp_path / "document"
        path.write_text(json.dumps(document))
        with path.open("rb") as file:
            for line in epcis_input.read(file):
                assert line.data is not None, line.reason
                lines += line.data + b"\n"
    before = client.http.get("/products/SN-1/events?limit=1000").json_body["events"]
    keep(client, *lines.splitlines())
    after = client.http.get("/products/SN-1/events?limit=1000").json_body["events"]

    assert len(lines.splitlines()) == len(before) == 61
    assert [each["position"] for each in after] == [each["position"] for each in before]


def cursor_behind(client: Client, limit: int) -> str:
    following: str = client.http.get(f"/products/SN-1/events?limit={limit}").json_body["next"]
    return following.partition("cursor=")[2]


def test_the_next_page_of_epcis_is_in_the_link_header(client: Client) -> None:
    keep(client, *notes(60))

    response = client.http.get("/products/SN-1?format=epcis")

    assert len(json.loads(response.body)["epcisBody"]["eventList"]) == 50
    assert response.headers["Link"].startswith("<SN-1/events?")
    assert "format=epcis" in response.headers["Link"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "error: this is no EPCIS document: Expecting property name"),
        ("[]", "error: this is no EPCIS document: an EPCIS document is a JSON object"),
        ('{"type":"EPCISDocument"}', "error: this is no EPCIS document: the EPCIS document has no eventList"),
        (
            "<?xml version='1.0'?><epcis:EPCISDocument/>",
            "error: this is no EPCIS document: it is XML, as EPCIS 1.2",
        ),
        ('{"type":"x"}', "error: this is no EPCIS document: not an EPCIS document: its type is 'x'"),
        ("[" * 100_000, "error: the EPCIS document is nested too deep"),
        ("\udcff", "error: this is no EPCIS document: 'utf-8' codec can't decode"),
    ],
)
def test_what_is_no_document_is_one_clear_line(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "document"
    path.write_bytes(text.encode(errors="surrogateescape"))

    ran = subprocess.run(
        [sys.executable, "-m", "producer", "send", "--dry-run", "--format", "epcis", "--from", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert ran.returncode == 2, ran.stderr
    assert ran.stderr.startswith(sentence)
    assert len(ran.stderr.splitlines()) == 1


def test_a_mapping_has_no_place_in_epcis(tmp_path: Path) -> None:
    ran = sent(tmp_path, DOCUMENT, "--dry-run", "--map", "serial=sn")

    assert ran.returncode == 2
    assert ran.stderr.startswith("error: --map: EPCIS has its own names for everything")
