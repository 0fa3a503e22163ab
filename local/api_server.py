"""The REST API on a port of this machine: Chalice's own local server over the stage in the environment.

Chalice's command `chalice local` is the same server; this one is for a parent that starts it as a child:
it says where it listens, it keeps connections alive without stalls, and it ends when its parent does.

    python -m local.api_server --port N         N = 0 takes a free port; the URL is the first line on stdout
"""

import argparse
import os
import sys
import threading
from functools import partial
from typing import Any

from chalice.cli.factory import CLIFactory
from chalice.deploy.validate import validate_routes
from chalice.local import LocalDevServer, create_local_server

from cli.exits import EXIT_OK, EXIT_UNAVAILABLE
from cli.paths import ROOT
from local import greedy_paths
from local.gateway import GatewayHandler

HOST = "127.0.0.1"

#: Callers that may arrive together; http.server's own 5 are fewer than a browser's connections.
BACKLOG = 128


class Handler(GatewayHandler):
    """Chalice's handler without its stalls.

    It writes headers and body separately, and on a connection that is kept alive the second waits 40 ms
    for the first one's delayed acknowledgement.
    """

    wbufsize = -1  # one write an answer; http.server flushes it
    disable_nagle_algorithm = True


def server(port: int, host: str = HOST) -> LocalDevServer:
    """Chalice's local server for the application, bound to `port`.

    Raises OSError when the port is taken.
    """
    # Its own copy of the environment takes `.chalice/config.json`'s variables: which stage and endpoint
    # this process serves is for its caller to say.
    factory = CLIFactory(str(ROOT), environ=dict(os.environ))
    config: Any = factory.create_config_obj(chalice_stage_name="local")
    app = config.chalice_app
    validate_routes(app.routes)
    greedy_paths.match()
    running = create_local_server(app, config, host, port)
    running.server.RequestHandlerClass = partial(Handler, app_object=app, config=config)
    running.server.socket.listen(BACKLOG)
    return running


def main() -> int:
    """Serve until stdin ends, which it does when the parent does, or until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local.api_server", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")
    port = parser.parse_args().port
    try:
        running = server(port)
    except OSError as exc:
        print(f"error: port {port}: {exc.strerror}; choose another with --port", file=sys.stderr)
        return EXIT_UNAVAILABLE
    print(f"http://{HOST}:{running.server.server_address[1]}", flush=True)
    sys.stdout = sys.stderr  # the access log: whoever started us reads one line and no more
    if not sys.stdin.isatty():
        threading.Thread(target=_end_with_stdin, args=(running,), daemon=True).start()
    try:
        running.server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        pass
    finally:
        running.server.server_close()
    return EXIT_OK


def _end_with_stdin(running: LocalDevServer) -> None:
    while sys.stdin.buffer.read(1024):
        pass
    running.shutdown()


if __name__ == "__main__":
    sys.exit(main())
