"""What a trace says about an invocation: shard, counts, status, as annotations that X-Ray can search by.

The only place that speaks to X-Ray.  Lambda makes the segments itself; all that is added is one subsegment,
sent as a datagram to the daemon beside the function (X-Ray developer guide, "Sending trace data to X-Ray" and
"X-Ray segment documents").  AWS's SDK for this would cost every cold start its import; where a trace is not
sampled, this costs reading one variable.
"""

import json
import re
import secrets
import socket
import time

from chalicelib import settings

_HEADER = b'{"format": "json", "version": 1}\n'
_SAMPLED = re.compile(r"Root=(1-[0-9a-f]{8}-[0-9a-f]{24});Parent=([0-9a-f]{16});Sampled=1(?:;|$)")


def annotate(name: str, seconds: float, annotations: dict[str, str | int | float | bool]) -> None:
    """Add a subsegment of so many seconds, ending now, to the invocation's trace, if it has a sampled one.

    Never raises and never waits: a trace is not worth a batch.
    """
    sampled = _SAMPLED.match(settings.trace())
    daemon = settings.trace_daemon()
    if sampled is None or daemon is None:
        return
    now = time.time()
    document = {
        "name": name,
        "id": secrets.token_hex(8),
        "type": "subsegment",
        "trace_id": sampled[1],
        "parent_id": sampled[2],
        "start_time": now - seconds,
        "end_time": now,
        "annotations": annotations,
    }
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.setblocking(False)
            datagrams.sendto(_HEADER + json.dumps(document).encode(), daemon)
    except OSError:
        pass  # the daemon is not there, or has no room just now
