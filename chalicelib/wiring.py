"""Clients and stores, built when first used and then kept.

The only place that builds AWS clients for deployed code.  Timeouts are explicit: botocore's default of a
minute would outlive an invocation.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from chalicelib import settings

if TYPE_CHECKING:
    from botocore.session import Session
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_kinesis.client import KinesisClient

    from chalicelib.ingest.writers import Writers
    from chalicelib.stream.put_records import RecordPutter
    from chalicelib.tables.history import History
    from chalicelib.tables.progress import Progress
    from chalicelib.tables.quarantine import Quarantine
    from chalicelib.tables.token_cache import TokenCache

#: A thread that writes for each so many MB of the function's memory.  Lambda gives a whole CPU for 1,769 MB,
#: which makes a request of 25 events in three quarters of a millisecond; so one thread for 32 MB keeps the
#: CPU busy while DynamoDB takes up to 20 ms, and no batch needs more.  Threads start when there is something
#: to write: a batch of 500 events uses 20.
MB_PER_WRITER = 32
MIN_WRITERS, MAX_WRITERS = 4, 32

CONNECT_TIMEOUT_S = 1.0

#: A batch of 25 large items takes DynamoDB a few hundred milliseconds; what takes longer will not come.  This
#: is between two pieces of an answer: one that drips takes longer, and writers.py has what becomes of it.
WRITE_TIMEOUT_S = 4.0

#: A person is waiting: two quick tries serve better than one slow one.
READ_TIMEOUT_S = 2.0


@cache
def history() -> "History":
    """The history table as ingest and triage write it."""
    from chalicelib.tables.history import History

    return History(_writing_client(), settings.history_table())


@cache
def history_for_reading() -> "History":
    """The history table as the API reads it: retried by botocore, because a person waits."""
    from chalicelib.tables.history import History

    return History(_reading_client(), settings.history_table())


@cache
def tokens() -> "TokenCache":
    """Who may use the API, as this process remembers it."""
    from chalicelib.tables.access import Access
    from chalicelib.tables.token_cache import TokenCache

    return TokenCache(Access(_reading_client(), settings.access_table()))


@cache
def quarantine() -> "Quarantine":
    """The quarantine table."""
    from chalicelib.tables.quarantine import Quarantine

    return Quarantine(_writing_client(), settings.quarantine_table())


@cache
def progress() -> "Progress":
    """Triage's progress, in the quarantine table."""
    from chalicelib.tables.progress import Progress

    return Progress(_writing_client(), settings.quarantine_table())


@cache
def writers() -> "Writers":
    """The threads that requests in flight run on."""
    from chalicelib.ingest.writers import Writers

    return Writers(writers_for(settings.memory_mb()), core())


@cache
def core() -> frozenset[int]:
    """The core of the writers and of the thread that decodes for them; empty where none can be chosen."""
    from chalicelib import cpu_affinity

    return cpu_affinity.drawn()


def writers_for(memory_mb: int) -> int:
    """How many requests a function with so much memory has in flight at most."""
    return max(MIN_WRITERS, min(memory_mb // MB_PER_WRITER, MAX_WRITERS))


@cache
def kinesis() -> "KinesisClient":
    """The stream, as triage re-reads it."""
    client: KinesisClient = _client("kinesis", WRITE_TIMEOUT_S, attempts=3)
    return client


@cache
def putter() -> "RecordPutter":
    """The stream, as the API puts events onto it: Deadline does the retrying."""
    from chalicelib.stream.put_records import RecordPutter

    return RecordPutter(_client("kinesis", WRITE_TIMEOUT_S, attempts=1), settings.stream_name())


@cache
def session() -> "Session":
    """What all clients are built from, and where hooks for all of them are registered.

    botocore's and not boto3's: boto3 brings resources and file transfers, which nobody here uses and which
    take half of its import.
    """
    import botocore.session

    return botocore.session.get_session()


def reset() -> None:
    """Forget everything built, for a process whose environment has changed (tests)."""
    for built in (
        session,
        history,
        history_for_reading,
        tokens,
        quarantine,
        progress,
        writers,
        core,
        kinesis,
        putter,
        _writing_client,
        _reading_client,
    ):
        built.cache_clear()


@cache
def _writing_client() -> "DynamoDBClient":
    # One attempt: chalicelib.deadline.Deadline does the retrying, it knows how much time is left.
    client: DynamoDBClient = _client("dynamodb", WRITE_TIMEOUT_S, attempts=1)
    return client


@cache
def _reading_client() -> "DynamoDBClient":
    client: DynamoDBClient = _client("dynamodb", READ_TIMEOUT_S, attempts=2)
    return client


def _client(service: str, read_timeout_s: float, attempts: int) -> Any:
    import botocore
    from botocore.config import Config

    return session().create_client(
        service,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=MAX_WRITERS + 2,
            parameter_validation=False,  # what we send is built here and tested; validating costs a third
            tcp_keepalive=True,
            # One string for the life of the client: botocore builds its own twice a request.
            user_agent=f"{settings.APP_NAME} Botocore/{botocore.__version__}",
        ),
    )
