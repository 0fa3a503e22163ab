"""The audit: whether everything that was produced is there, exactly, and nothing else.

Events are read back through the REST API, page by page as any caller would, and compared by content with
what was put on the stream; poison records are compared byte for byte with what lies in quarantine.  It knows
nothing of how events travelled, so it judges the pipeline from outside.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin

import msgspec
import urllib3

from chalicelib.domain import events
from chalicelib.errors import InvalidEventError

if TYPE_CHECKING:
    from producer.entry import Entry

#: The largest page the API gives.
PAGE_EVENTS = 1000

#: The API is one Python process: more callers only wait for each other.
READERS = 4

_TIMEOUT_S = 30.0
_ATTEMPTS = 5
_EXAMPLES = 5

_pack = msgspec.msgpack.Encoder().encode


class AuditError(Exception):
    """The API did not answer, or answered with something that cannot be judged."""


class Produced:
    """What was put on the stream, as small as it can be kept: content digests, not events."""

    def __init__(self) -> None:
        self.products: dict[str, dict[str, bytes]] = {}
        self.poison: Counter[bytes] = Counter()

    def event(self, data: bytes) -> None:
        """Expect this event.  Saying the same content again changes nothing: a history is a set.

        Raises InvalidEventError for data that is no event.
        """
        event = events.decode(data)
        product = self.products.setdefault(event.serial, {})
        product[event.position] = _content(
            event.serial, event.type, event.occurred_at, event.event_id, event.source, event.metadata
        )

    def poison_record(self, data: bytes) -> None:
        """Expect these bytes in quarantine."""
        self.poison[_bytes_digest(data)] += 1

    def entries(self, entries: Iterable["Entry"]) -> None:
        """Expect what the producer puts on the stream."""
        for entry in entries:
            if entry.kind == "event":
                self.event(entry.data)
            elif entry.kind == "poison":
                self.poison_record(entry.data)

    @property
    def distinct(self) -> int:
        """How many different events are expected."""
        return sum(len(product) for product in self.products.values())


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What the audit found.  `examples` says of the first few things that are wrong what they are."""

    queryable: int = 0  # expected events that the API gives, exactly as sent
    missing: int = 0  # expected events that it does not give, or gives differently
    unexpected: int = 0  # what it gives, or the table holds, beside those
    quarantined: int = 0  # poison records found byte for byte
    not_quarantined: int = 0  # poison records not found
    wrongly_quarantined: int = 0  # records in quarantine that are no poison of ours
    examples: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether everything is there and nothing else."""
        return not (self.missing or self.unexpected or self.not_quarantined or self.wrongly_quarantined)

    def figures(self) -> dict[str, int]:
        """Return the counts by name."""
        return {name: count for name, count in asdict(self).items() if name != "examples"}

    def wrong(self, example: str) -> None:
        """Keep an example, as long as there are few."""
        if len(self.examples) < _EXAMPLES:
            self.examples.append(example)


class Shown(msgspec.Struct, frozen=True, gc=False):
    """An event as the API gives it; metadata stays the text it is."""

    position: str
    type: str
    occurred_at: str
    event_id: str | None
    source: str | None
    metadata: msgspec.Raw


class EventsPage(msgspec.Struct, frozen=True, gc=False):
    """One answer of `/products/{serial}/events`."""

    serial: str
    events: list[Shown]
    next: str | None


def audit(
    api_url: str,
    produced: Produced,
    quarantined: Iterable[bytes],
    *,
    stored: int | None = None,
    readers: int = READERS,
    on_product: Callable[[], None] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Verdict:
    """Read everything back and compare.

    `quarantined` are the payloads that lie open in quarantine; `stored` is the number of items in the
    history table, which tells of events under serials that nobody produced; `on_product` is called for
    each product read, by one thread at a time.  Raises AuditError when the API does not answer.
    """
    verdict = Verdict()
    lock = threading.Lock()
    reader = ApiReader(api_url, sleep)
    shown_in_all = 0

    def judge(serial: str) -> None:
        nonlocal shown_in_all
        shown = reader.history(serial)
        with lock:
            shown_in_all += len(shown)
            _compare(serial, produced.products[serial], shown, verdict)
            on_product()

    pool = ThreadPoolExecutor(readers, thread_name_prefix="audit")
    try:
        for _ in pool.map(judge, produced.products):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
        reader.close()
    if stored is not None and stored != shown_in_all:
        verdict.unexpected += abs(stored - shown_in_all)
        verdict.wrong(f"the table holds {stored} events, the API shows {shown_in_all} of what was produced")
    _compare_quarantine(produced.poison, quarantined, verdict)
    return verdict


class ApiReader:
    """Reads histories through the API.  Safe for several threads."""

    def __init__(self, api_url: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._base = api_url.rstrip("/")
        self._sleep = sleep
        self._http = urllib3.PoolManager(maxsize=READERS, timeout=_TIMEOUT_S, retries=False)

    def history(self, serial: str) -> list[Shown]:
        """Return a product's whole history, following `next` from page to page; empty when there is none."""
        url = f"{self._base}/products/{quote(serial, safe='')}/events?limit={PAGE_EVENTS}"
        shown: list[Shown] = []
        seen = set()
        while True:
            if url in seen:
                raise AuditError(f"the pages of {serial} go in a circle at {url}")
            seen.add(url)
            status, body = self.get(url)
            if status == 404 and not shown:
                return []
            if status != 200:
                raise AuditError(f"{url} answered {status}: {body[:200].decode(errors='replace')}")
            page = _page.decode(body)
            shown += page.events
            if page.next is None:
                return shown
            url = urljoin(url, page.next)

    def get(self, url: str) -> tuple[int, bytes]:
        """Return status and body of an answer; 429, 503 and a lost connection are tried again."""
        problem = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._sleep(0.1 * 2**attempt)
            try:
                answer = self._http.request("GET", url)
            except urllib3.exceptions.HTTPError as exc:
                problem = f"{type(exc).__name__}: {exc}"
                continue
            if answer.status not in (429, 503):
                return answer.status, answer.data
            problem = f"{answer.status}: {answer.data[:200].decode(errors='replace')}"
        raise AuditError(f"no answer from {url} in {_ATTEMPTS} attempts; the last one: {problem}")

    def close(self) -> None:
        """Close every connection."""
        self._http.clear()


_page = msgspec.json.Decoder(EventsPage)


def _compare(serial: str, expected: dict[str, bytes], shown: Sequence[Shown], verdict: Verdict) -> None:
    found = set()
    for event in shown:
        if event.position not in found and _is_as_sent(serial, event, expected.get(event.position)):
            found.add(event.position)
        else:
            verdict.unexpected += 1
            verdict.wrong(f"unexpected: {event.type} of {serial} at {event.position}")
    verdict.queryable += len(found)
    verdict.missing += len(expected) - len(found)
    for position in expected.keys() - found:
        verdict.wrong(f"missing: event of {serial} at {position}")


def _is_as_sent(serial: str, event: Shown, expected: bytes | None) -> bool:
    if expected is None:
        return False
    fields = (serial, event.type, event.occurred_at, event.event_id, event.source)
    if _content(*fields, bytes(event.metadata).decode()) == expected:
        return True
    # Another spelling of the same JSON (white space, key order) is not another event.  A number spelled
    # otherwise is: the canonical form keeps spellings.
    names = ("serial", "type", "occurred_at", "event_id", "source")
    wire = dict(zip(names, fields, strict=True)) | {"metadata": event.metadata}
    try:
        canonical = events.decode(msgspec.json.encode(wire))
    except InvalidEventError:
        return False
    return _content(*fields, canonical.metadata) == expected


def _compare_quarantine(poison: Counter[bytes], payloads: Iterable[bytes], verdict: Verdict) -> None:
    lying = Counter(_bytes_digest(payload) for payload in payloads)
    verdict.quarantined = (poison & lying).total()
    verdict.not_quarantined = (poison - lying).total()
    verdict.wrongly_quarantined = (lying - poison).total()
    if verdict.not_quarantined:
        verdict.wrong(f"not in quarantine: {verdict.not_quarantined} poison records")
    if verdict.wrongly_quarantined:
        verdict.wrong(f"in quarantine: {verdict.wrongly_quarantined} records that are no poison of ours")


def _content(
    serial: str, type_: str, occurred_at: str, event_id: str | None, source: str | None, metadata: str
) -> bytes:
    return _bytes_digest(_pack((serial, type_, occurred_at, event_id, source, metadata)))


def _bytes_digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()
