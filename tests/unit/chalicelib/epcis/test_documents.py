"""EPCIS documents: what is read of them, and what is reported."""

import json
from typing import Any

import pytest

from chalicelib.epcis import documents


def test_master_data_of_the_header_is_reported() -> None:
    document: dict[str, Any] = {
        "type": "EPCISDocument",
        "epcisHeader": {
            "epcisMasterData": {
                "vocabularyList": [
                    {"type": "urn:epcglobal:epcis:vtype:Location", "vocabularyElementList": [{}, {}]},
                    {"type": "urn:epcglobal:epcis:vtype:EPCClass", "vocabularyElementList": [{}]},
                    "?",
                ]
            }
        },
        "epcisBody": {"eventList": []},
    }

    assert documents.read(document).skipped == [
        "epcisHeader: master data is not stored: 2 elements of 'urn:epcglobal:epcis:vtype:Location'",
        "epcisHeader: master data is not stored: 1 element of 'urn:epcglobal:epcis:vtype:EPCClass'",
    ]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_epcis_1_2_is_refused_with_a_sentence(bom: bytes) -> None:
    with pytest.raises(ValueError, match=r"it is XML, as EPCIS 1\.2 is; convert it to EPCIS 2\.0 JSON-LD"):
        documents.decode(bom + b' \n<?xml version="1.0"?><epcis:EPCISDocument schemaVersion="1.2"/>')


def test_a_query_document_has_its_events_in_the_results() -> None:
    results = {"queryResults": {"resultsBody": {"eventList": [{"type": "ObjectEvent"}]}}}

    found = documents.read({"type": "EPCISQueryDocument", "epcisBody": results})

    assert found.events == [{"type": "ObjectEvent"}]


@pytest.mark.parametrize("document", [[], 1, "x", {}, {"type": ["ObjectEvent"]}, {"type": "EPCISDocument"}])
def test_what_is_no_document_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="EPCIS document"):
        documents.decode(json.dumps(document).encode())
