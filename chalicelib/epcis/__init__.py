"""A product's events as GS1 EPCIS 2.0 and back.

    vocabulary.py    the one table of lifecycle types and their CBV business steps and dispositions
    identifiers.py   serial numbers and EPCs, reversibly
    shapes.py        which EPCIS fields may hold what, so that what goes out is valid
    outgoing.py      stored events -> EPCIS events, and documents of them
    incoming.py      EPCIS events -> lifecycle events, one for each instance-level EPC

What EPCIS has no field for travels in the extension namespace `lifecycle:`; what the wire format has no
field for is kept in an event's metadata under `epcis`.  Either way nothing is lost: an event that went out
comes in again as itself.

Sources: EPCIS Standard 2.0 and CBV Standard 2.0, https://ref.gs1.org/standards/epcis/ and …/cbv/.
"""
