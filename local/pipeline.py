"""The whole pipeline on one machine: endpoint, stack, mappings with their sandboxes, API.

The only place that knows the order in which they start and stop.  Everything started here is stopped here,
in the opposite order, whatever happens in between; nothing else is touched.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from chalicelib import settings
from chalicelib.errors import ConfigurationError
from chalicelib.tables.markers import BEHIND
from cli.paths import ROOT
from infra.functions import FUNCTIONS
from local import stack
from local.aws import answering, client, environment, given_endpoint, use
from local.emulator import process as endpoint
from local.emulator.process import Endpoint
from local.event_sources.checkpoints import Checkpoints
from local.event_sources.failure_destination import FailureDestination
from local.event_sources.kinesis import KinesisMapping
from local.event_sources.observer import Observer
from local.event_sources.read_schedule import POLL_INTERVAL_S
from local.event_sources.settings import kinesis_settings, sqs_settings
from local.event_sources.shard_runner import MappingParts
from local.event_sources.sqs import SqsMapping
from local.faults import switchboard
from local.faults.switchboard import Switchboard
from local.sandbox.pool import SandboxPool

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_sqs import SQSClient


_CHILD_START_S = 60.0
_CHILD_STOP_S = 10.0


class PipelineError(Exception):
    """A part of the pipeline did not start.  The message has the remedy."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start, and where it keeps its things."""

    stage: str
    logs: Path
    api_port: int | None = None  # None takes a free one
    endpoint_port: int | None = None  # likewise
    state: Path | None = None  # where the endpoint keeps its state across an orderly restart
    record: Path | None = None  # where it is written who the endpoint is, so that it can be adopted
    is_temporary: bool = False  # whether to remove the stage afterwards
    faults: Switchboard | None = None  # what is to go wrong in and around the functions
    shard_limits: bool = False  # whether the embedded endpoint's shards take no more than AWS's do
    functions: Path = FUNCTIONS  # what mappings and functions are set to
    poll_interval_s: float = POLL_INTERVAL_S  # between two reads of an idle shard; 1.0 on AWS


class Pipeline:
    """A running pipeline."""

    def __init__(
        self, stage: str, endpoint: Endpoint, api_url: str, mapping: KinesisMapping, dead_letters: SqsMapping
    ) -> None:
        self.stage = stage
        self.endpoint = endpoint
        self.api_url = api_url
        self._mapping = mapping
        self._dead_letters = dead_letters
        self._dynamodb: DynamoDBClient = client("dynamodb")

    def drained(self) -> bool:
        """Whether everything that was on the stream when this was called has its place.

        Raises RuntimeError when a shard's thread has failed.
        """
        return self._mapping.drained() and self._dead_letters.drained()

    def stored(self) -> int:
        """How many events the history table holds, without what stands behind them.  Reads all of it."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=settings.history_table(),
            Select="COUNT",
            ConsistentRead=True,
            FilterExpression="#position < :behind",
            ExpressionAttributeNames={"#position": "position"},
            ExpressionAttributeValues={":behind": {"S": BEHIND}},
        )
        return sum(page["Count"] for page in pages)


@contextlib.contextmanager
def running(plan: Plan, observer: Observer, say: Callable[[str], None]) -> Iterator[Pipeline]:
    """Start everything, and stop it when the block ends, Ctrl-C and SIGTERM included.

    The endpoint in AWS_ENDPOINT_URL is used when there is one; otherwise an embedded one is started.
    `say` is told what takes a while.  This process's environment becomes that of the stage.  Raises
    PipelineError, EndpointError, StackError or ConfigurationError, and EndpointError instead of what the
    block raised because the endpoint was gone.
    """
    with contextlib.ExitStack() as stops:
        stops.enter_context(_orderly_end())
        aws = given_endpoint()
        is_given = aws is not None
        if aws is not None and plan.shard_limits:
            raise ConfigurationError(
                f"--shard-limits: only the embedded endpoint has them, and AWS_ENDPOINT_URL names {aws.url}; "
                "unset that variable, or leave the option out"
            )
        if plan.api_port is not None and not endpoint.is_free(plan.api_port):
            raise PipelineError(f"port {plan.api_port} is in use; choose another for the API with --port")
        if aws is None:
            say("starting the AWS endpoint")
            aws = endpoint.start(
                log_path=plan.logs / "endpoint.log",
                port=plan.endpoint_port,
                state_dir=plan.state,
                record=plan.record,
                shard_limits=plan.shard_limits,
            )
            stops.callback(_stop_endpoint, aws, say if plan.state else lambda _: None)
        stops.enter_context(answering(aws))
        functions = environment(plan.stage, aws.url, os.environ if is_given else {})
        use(functions)
        if plan.is_temporary:
            stops.callback(_remove_from, aws, plan.stage)
        stack.ensure(client("cloudformation"), plan.stage)
        mappings = _start_mappings(functions, plan, observer, stops)
        api_url = _start_api(plan.api_port or 0, plan.logs / "api.log", stops)
        pipeline = Pipeline(plan.stage, aws, api_url, *mappings)
        stops.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)  # once is enough: stopping is under way
        yield pipeline


def remove(stage: str) -> None:
    """Remove the stage's stack and its checkpoints from the endpoint that this process talks to."""
    stack.remove(client("cloudformation"), stage)
    try:
        client("dynamodb").delete_table(TableName=checkpoint_table())
    except ClientError as exc:
        if exc.response["Error"]["Code"] != "ResourceNotFoundException":
            raise


def _start_mappings(
    functions: Mapping[str, str], plan: Plan, observer: Observer, stops: contextlib.ExitStack
) -> tuple[KinesisMapping, SqsMapping]:
    """Both event source mappings, each with the pool of sandboxes that its function runs in."""
    from app import app  # its decorators read the environment, which is the stage's only now

    kinesis: KinesisClient = client("kinesis")
    dynamodb: DynamoDBClient = client("dynamodb")
    sqs: SQSClient = client("sqs")
    on_stream = kinesis_settings(app, plan.functions)
    on_queue = sqs_settings(app, plan.functions)
    # The handler may report failures only to a mapping with ReportBatchItemFailures.
    told = {**functions, "LIFECYCLE_PARTIAL_RESPONSES": "on" if on_stream.partial_responses else "off"}
    module, timeout_s = "app", on_stream.timeout_s
    board = plan.faults
    if board is not None:
        module = "local.faults.functions"
        told[switchboard.DIRECTORY_VARIABLE] = str(board.directory.resolve())
        if board.faults.timeout:
            timeout_s = min(timeout_s, switchboard.TIMEOUT_S)

    def sandboxes(function: str, timeout_s: float, memory_mb: int) -> SandboxPool:
        pool = SandboxPool(
            handler=f"{module}.{function}",
            environment=told,
            timeout_s=timeout_s,
            memory_mb=memory_mb,
            log_path=plan.logs / f"{function}.log",
        )
        stops.callback(pool.close)
        return pool

    ingest = sandboxes("process_lifecycle", timeout_s, on_stream.memory_mb)
    triage = sandboxes("triage_dead_letters", on_queue.timeout_s, on_queue.memory_mb)
    mapping = KinesisMapping(
        MappingParts(
            settings=on_stream,
            stream=settings.stream_name(),
            function="process_lifecycle",
            invoke=ingest.invoke if board is None else board.deliver(ingest.invoke),
            kinesis=kinesis,
            checkpoints=Checkpoints(dynamodb, checkpoint_table()),
            failures=FailureDestination(sqs, settings.dead_letter_queue()),
            observer=observer,
            poll_interval_s=plan.poll_interval_s,
        )
    )
    dead_letters = SqsMapping(
        settings=on_queue,
        queue=settings.dead_letter_queue(),
        function="triage_dead_letters",
        invoke=triage.invoke,
        sqs=sqs,
        observer=observer,
    )
    stops.callback(dead_letters.stop)
    stops.callback(mapping.stop)
    mapping.start()
    dead_letters.start()
    return mapping, dead_letters


def checkpoint_table() -> str:
    """The table of the mappings' checkpoints; not in the stack, because on AWS Lambda keeps them."""
    return f"{settings.APP_NAME}-{settings.stage()}-checkpoints"


def _start_api(port: int, log_path: Path, stops: contextlib.ExitStack) -> str:
    """Start the API's server as a child process; return its URL once it listens."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.api_server", "--port", str(port)],
            cwd=ROOT,
            stdin=subprocess.PIPE,  # the child ends when this does: when we close it, or when we are gone
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches us first
        )
    stops.callback(_stop_child, process)
    assert process.stdout is not None, "asked for above"
    overdue = threading.Timer(_CHILD_START_S, process.kill)
    overdue.start()
    url = process.stdout.readline().decode().strip()
    overdue.cancel()
    if not url:
        raise PipelineError(f"the API did not start; see {log_path}")
    return url


def _stop_child(process: subprocess.Popen[bytes]) -> None:
    try:
        process.communicate(timeout=_CHILD_STOP_S)  # closes its stdin
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _stop_endpoint(running_endpoint: Endpoint, say: Callable[[str], None]) -> None:
    if not running_endpoint.is_gone:
        say("saving the state")
    running_endpoint.stop()


def _remove_from(running_endpoint: Endpoint, stage: str) -> None:
    if not running_endpoint.is_gone:
        remove(stage)


@contextlib.contextmanager
def _orderly_end() -> Iterator[None]:
    """Make SIGTERM and a closed terminal end the block as Ctrl-C does."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
