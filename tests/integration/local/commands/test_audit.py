"""The audit must notice: each kind of thing that can be wrong, behind an API that gets it wrong.

The API here is a small real HTTP server that serves what a test hands it, because ours does not lose,
change or repeat events on request.
"""

import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from chalicelib.domain import events
from local.commands.audit import AuditError, Produced, Verdict, audit

Pages = dict[str, list[list[dict[str, Any]]]]


class WrongApi:
    """Serves histories page by page, as a test wants them; `busy` answers 503 so many times first."""

    def __init__(self) -> None:
        self.pages: Pages = {}
        self.busy = 0
        self.circle = False
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_GET(self) -> None:
                status, body = api.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path: str) -> tuple[int, bytes]:
        if self.busy:
            self.busy -= 1
            return 503, b"{}"
        parts = urlsplit(path)
        serial = parts.path.split("/")[2]
        if serial not in self.pages:
            return 404, b"{}"
        number = int(parse_qs(parts.query).get("page", ["0"])[0])
        is_last = number + 1 == len(self.pages[serial])
        following = f"?page={number if self.circle else number + 1}" if not is_last else None
        shown = self.pages[serial][number]
        return 200, msgspec.json.encode({"serial": serial, "events": shown, "next": following})

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def api() -> Iterator[WrongApi]:
    running = WrongApi()
    yield running
    running.close()


def an_event(
    serial: str = "SN-1", second: int = 0, metadata: str = '{"price":1.10}', extra: str = ""
) -> bytes:
    occurred_at = f"2026-11-20T10:00:{second:02}.5+01:00"
    return (
        f'{{"serial":"{serial}","type":"service","occurred_at":"{occurred_at}","metadata":{metadata}{extra}}}'
    ).encode()


def shown(data: bytes, **changed: Any) -> dict[str, Any]:
    """The event as the API shows it."""
    event = events.decode(data)
    return {
        "position": event.position,
        "type": event.type,
        "occurred_at": event.occurred_at,
        "event_id": event.event_id,
        "source": event.source,
        "metadata": msgspec.Raw(event.metadata.encode()),
        "recorded_at": "2026-11-20T10:00:00.000Z",
        **changed,
    }


def expecting(*sent: bytes, poison: tuple[bytes, ...] = ()) -> Produced:
    produced = Produced()
    for data in sent:
        produced.event(data)
    for data in poison:
        produced.poison_record(data)
    return produced


def figures(verdict: Verdict) -> tuple[int, int, int]:
    return verdict.queryable, verdict.missing, verdict.unexpected


def test_everything_there_over_several_pages_and_products_is_clean(api: WrongApi) -> None:
    sent = [
        an_event("SN-1", 1),
        an_event("SN-1", 2),
        an_event("SN:2", 3, extra=',"event_id":"e","source":"s"'),
    ]
    api.pages = {"SN-1": [[shown(sent[1])], [], [shown(sent[0])]], "SN%3A2": [[shown(sent[2])]]}

    verdict = audit(
        api.url, expecting(*sent, sent[0], poison=(b"\xff", b"\xff")), [b"\xff", b"\xff"], stored=3
    )

    assert figures(verdict) == (3, 0, 0)
    assert verdict.quarantined == 2
    assert verdict.is_clean
    assert verdict.examples == []


@pytest.mark.parametrize("pages", [{}, {"SN-1": [[]]}], ids=["no history", "an empty one"])
def test_a_lost_event_is_missing(api: WrongApi, pages: Pages) -> None:
    api.pages = pages
    sent = an_event()

    verdict = audit(api.url, expecting(sent), [])

    assert figures(verdict) == (0, 1, 0)
    assert not verdict.is_clean
    assert verdict.examples == [f"missing: event of SN-1 at {events.decode(sent).position}"]


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "warranty"},
        {"occurred_at": "2026-11-20T10:00:00.5Z"},
        {"occurred_at": "2026-11-20T09:00:00.5Z"},  # the same instant, but local time is lost
        {"event_id": "e-1"},
        {"source": "dealer-1"},
        {"metadata": msgspec.Raw(b'{"price":1.1}')},
        {"metadata": msgspec.Raw(b'{"price":"1.10"}')},
        {"metadata": msgspec.Raw(b"{}")},
        {"position": "2026-11-20T09:00:00.500000Z#" + "0" * 32},
    ],
    ids=lambda changed: next(
        f"{name}={bytes(value) if name == 'metadata' else value}" for name, value in changed.items()
    ),
)
def test_an_event_that_comes_back_changed_is_missing_and_what_came_is_unexpected(
    api: WrongApi, changed: dict[str, Any]
) -> None:
    api.pages = {"SN-1": [[shown(an_event(), **changed)]]}

    assert figures(audit(api.url, expecting(an_event()), [])) == (0, 1, 1)


def test_white_space_and_key_order_of_metadata_are_not_content(api: WrongApi) -> None:
    sent = an_event(metadata='{"a":1.10,"b":{"c":[1e2,-0]}}')
    api.pages = {"SN-1": [[shown(sent, metadata=msgspec.Raw(b'{ "b": {"c": [1e2, -0]}, "a":1.10}'))]]}

    assert figures(audit(api.url, expecting(sent), [])) == (1, 0, 0)


def test_an_event_shown_twice_is_unexpected(api: WrongApi) -> None:
    api.pages = {"SN-1": [[shown(an_event())], [shown(an_event())]]}

    assert figures(audit(api.url, expecting(an_event()), [])) == (1, 0, 1)


def test_an_event_that_nobody_sent_is_unexpected(api: WrongApi) -> None:
    api.pages = {"SN-1": [[shown(an_event()), shown(an_event(second=1))]]}

    assert figures(audit(api.url, expecting(an_event()), [])) == (1, 0, 1)


def test_events_under_a_serial_that_nobody_sent_are_unexpected(api: WrongApi) -> None:
    api.pages = {"SN-1": [[shown(an_event())]]}

    verdict = audit(api.url, expecting(an_event()), [], stored=3)

    assert figures(verdict) == (1, 0, 2)


def test_poison_must_lie_in_quarantine_byte_for_byte_as_often_as_it_was_sent(api: WrongApi) -> None:
    verdict = audit(api.url, expecting(poison=(b"{", b"{", b"\xff\x00")), [b"{", b"\xff", b"else"])

    assert (verdict.quarantined, verdict.not_quarantined, verdict.wrongly_quarantined) == (1, 2, 2)
    assert not verdict.is_clean


def test_a_product_is_reported_when_it_was_read(api: WrongApi) -> None:
    read: list[Callable[[], None] | None] = []

    audit(api.url, expecting(an_event("SN-1"), an_event("SN-2")), [], on_product=lambda: read.append(None))

    assert len(read) == 2


def test_a_busy_api_is_asked_again(api: WrongApi) -> None:
    api.pages = {"SN-1": [[shown(an_event())]]}
    api.busy = 2

    assert audit(api.url, expecting(an_event()), [], sleep=lambda _: None).is_clean


def test_pages_in_a_circle_end_the_audit(api: WrongApi) -> None:
    api.pages = {"SN-1": [[shown(an_event())], []]}
    api.circle = True

    with pytest.raises(AuditError, match="in a circle"):
        audit(api.url, expecting(an_event()), [])


def test_an_api_that_is_gone_is_said_so() -> None:
    with pytest.raises(AuditError, match=r"no answer from http://127.0.0.1:1/products/SN-1/events"):
        audit("http://127.0.0.1:1", expecting(an_event()), [], sleep=lambda _: None)
