"""The OpenAPI document is true: what it says is asked of a running API, and nothing else comes back.

schemathesis invents the requests, from the schema and against it.  Chalice's own local server answers
them, over a real table.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from chalice.test import Client
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance, unsupported_method

from chalicelib import wiring
from chalicelib.api import negotiation, responses
from chalicelib.domain import lifecycle
from cli.paths import ROOT
from tests.support import api_process, names
from tests.support.api_client import at, keep, notes
from tests.support.lambda_events import wire
from tests.support.waiting import PATIENCE_S

DOCUMENT = ROOT / "chalicelib" / "api" / "openapi.json"


def _described() -> dict[str, Any]:
    """The document, with serials that exist among those to ask for; inventing one would take forever.

    So it is with EPCs, which have check digits.
    """
    document: dict[str, Any] = json.loads(DOCUMENT.read_text())
    epcs = ["urn:epc:id:sgtin:0614141.107346.S77", "https://b.example/gtin/10614141073464/ser/S77?17=290101"]
    epcs += ["(01)10614141073464(21)S77", "]C1011061414107346421S77"]
    document["components"]["schemas"]["EPC"] = {"enum": epcs}
    either = {"anyOf": [{"enum": ["SN-1", "0", "A", *epcs]}, document["components"]["schemas"]["Serial"]]}
    for path in ("/products/{serial}", "/products/{serial}/events"):
        document["paths"][path]["parameters"][0]["schema"] = either
    return document


described = schemathesis.openapi.from_dict(_described())
# What Python's http.server makes of TRACE says nothing about API Gateway or about us.
described.config.phases.coverage.unexpected_methods = {"DELETE", "PATCH", "POST", "PUT"}


@pytest.fixture(scope="module")
def url(endpoint_url: str, _stage_of_module: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API on a free port, over a stage that knows a few products."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", endpoint_url)
        environment.setenv("LIFECYCLE_STAGE", _stage_of_module)
        environment.setenv("LIFECYCLE_PARTIAL_RESPONSES", "on")
        for name, value in names.open_to_everybody().items():
            environment.setenv(name, value)
        wiring.reset()
        from app import app

        with Client(app, stage_name="test") as client:
            keep(client, *notes(60), wire("SN-1", "theft", at(99), metadata={"a": [1, None, "x"]}))
            keep(client, wire("0", "production", source="s"), wire("A", "void", event_id="e"))
            for named in ({"event_id": "e", "why": "twice"}, {"event_id": "f"}, {}):
                keep(client, wire("0", "void", at(1), metadata=named), wire("0", "theft", event_id="e"))
            keep(client, wire("gs1:01:10614141073464:21:S77", "theft"))
        with api_process.api(tmp_path_factory.mktemp("api") / "log") as running:
            yield running


def test_the_document_describes_every_route_and_nothing_else() -> None:
    from app import app

    document = json.loads(DOCUMENT.read_text())

    assert set(document["paths"]) == set(app.routes) - {responses.ELSEWHERE}
    for path, item in document["paths"].items():
        assert {method.upper() for method in item.keys() - {"parameters"}} == set(app.routes[path])


def test_the_document_names_what_the_code_knows() -> None:
    schemas = json.loads(DOCUMENT.read_text())["components"]["schemas"]
    statuses = {kind.gives for kind in lifecycle.KINDS.values()} - {None}

    assert set(schemas["Product"]["properties"]["status"]["enum"]) == (
        statuses | {lifecycle.UNKNOWN, lifecycle.UNDETERMINED}
    )
    for type_ in lifecycle.KINDS:
        assert type_ in schemas["Type"]["description"]
    paths = json.loads(DOCUMENT.read_text())["paths"]
    for path, offered in (
        ("/products/{serial}", negotiation.PRODUCT_FORMATS),
        ("/products/{serial}/events", negotiation.EVENTS_FORMATS),
    ):
        get = paths[path]["get"]
        (named,) = [each for each in paths[path]["parameters"] if each["name"] == "format"]
        assert tuple(named["schema"]["enum"]) == offered
        assert set(get["responses"]["200"]["content"]) == {negotiation.FORMATS[name] for name in offered}


def test_the_document_is_served_as_it_is_kept(url: str) -> None:
    answer = requests.get(f"{url}/openapi.json", timeout=PATIENCE_S)

    assert answer.text == DOCUMENT.read_text()
    assert answer.headers["Content-Type"] == "application/json"


@described.parametrize()
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
def test_the_api_answers_as_the_document_says(case: schemathesis.Case, url: str) -> None:
    # Each good alone: whether a cursor was given out, whether since lies before until, and what anomalies do
    # not go with, no schema says.  That a day exists, or how large an item is, none either.
    query = set(case.query)
    beyond_the_schema = (
        bool({"cursor", "anomalies"} & query) or {"since", "until"} <= query or case.path == "/events"
    )
    excluded: list[Any] = [positive_data_acceptance] if beyond_the_schema else []
    if (case.method, case.path) == ("POST", "/events"):
        excluded.append(unsupported_method)  # it takes the methods listed above for wrong everywhere
    response = case.call_and_validate(base_url=url, allow_redirects=False, excluded_checks=excluded)
    assert response.status_code not in (401, 403), "then nothing else was looked at"
