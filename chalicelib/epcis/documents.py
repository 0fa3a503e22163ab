"""EPCIS 2.0 documents: read, with what goes with every event of one and what makes no event at all."""

from typing import Any, NamedTuple

from chalicelib import strict_json
from chalicelib.epcis import contexts, schema
from chalicelib.text import quoted


class Document(NamedTuple):
    """The events of a document, and what they share."""

    events: list[Any]
    contexts: list[Any]  # beyond the standard one
    sender: str | None
    skipped: list[str]  # what else it holds and nothing is made of, a sentence each


def decode(data: bytes) -> Document:
    """Return the document that `data` holds.

    Raises ValueError with a sentence for anything else, and RecursionError for JSON nested too deep.
    """
    text = data.decode("utf-8-sig")
    if text[:1000].lstrip().startswith("<"):
        raise ValueError(
            "it is XML, as EPCIS 1.2 is; convert it to EPCIS 2.0 JSON-LD (OpenEPCIS has a converter)"
        )
    return read(strict_json.decode(text))


def read(document: Any) -> Document:
    """Return what an EPCIS document, a query document or a single event holds.

    Raises ValueError with a sentence for anything else.
    """
    if not isinstance(document, dict):
        raise ValueError("an EPCIS document is a JSON object")
    type_ = document.get("type")
    if isinstance(type_, str) and type_ in schema.FIELDS:
        return Document([document], [], None, [])
    of_all = [entry for entry in contexts.own(document.get("@context")) if isinstance(entry, str | dict)]
    body = document.get("epcisBody")
    if type_ == "EPCISQueryDocument" and isinstance(body, dict):
        results = body.get("queryResults")
        body = results.get("resultsBody") if isinstance(results, dict) else None
    elif type_ != "EPCISDocument":
        raise ValueError(f"not an EPCIS document: its type is {_shown(type_)}")
    found = body.get("eventList") if isinstance(body, dict) else None
    if not isinstance(found, list):
        raise ValueError("the EPCIS document has no eventList")
    sender = document.get("sender")
    return Document(
        found,
        of_all,
        sender if isinstance(sender, str) and 1 <= len(sender) <= 128 else None,
        list(_master_data(document.get("epcisHeader"))),
    )


def _master_data(header: Any) -> list[str]:
    """A sentence for each vocabulary of master data, which is about parties, places and classes."""
    data = header.get("epcisMasterData") if isinstance(header, dict) else None
    vocabularies = data.get("vocabularyList") if isinstance(data, dict) else None
    if not isinstance(vocabularies, list):
        return []
    return [
        f"epcisHeader: master data is not stored: {_count(vocabulary)} of {_shown(vocabulary.get('type'))}"
        for vocabulary in vocabularies
        if isinstance(vocabulary, dict)
    ]


def _count(vocabulary: dict[str, Any]) -> str:
    elements = vocabulary.get("vocabularyElementList")
    number = len(elements) if isinstance(elements, list) else 0
    return f"{number} element" if number == 1 else f"{number} elements"


def _shown(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else "no text"
