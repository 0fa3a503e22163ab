"""`ops token`: a new API token, shown once, and the entry to configure for it."""

import argparse

from chalicelib import settings
from chalicelib.api import auth
from chalicelib.errors import ConfigurationError
from cli.arguments import Commands
from cli.exits import EXIT_OK, EXIT_USAGE
from cli.output import to_stderr
from ops import arguments
from ops.output import CommandError, print_json, print_line

CREATE_EXAMPLES = """\
  # a token for a caller, and what to add to LIFECYCLE_TOKENS
  python -m ops token create --name dealer-portal

  # one that ends by itself; for a program
  python -m ops token create --name audit-2027 --expires 2027-12-31 --json
"""


def add(nouns: Commands, help: str) -> None:
    """Add the noun to the command line."""
    verbs = arguments.noun(nouns, "token", help)
    parser = arguments.command(
        verbs, "create", "make a token, and the entry to configure for it", CREATE_EXAMPLES, run=create
    )
    parser.add_argument("--name", required=True, help="who gets it; the access log shows this name")
    parser.add_argument(
        "--scope", choices=[auth.READ], default=auth.READ, help="what it may do (default: read)"
    )
    parser.add_argument(
        "--expires", metavar="DATE", help="the day (in UTC) or RFC 3339 time it stops working"
    )


def create(args: argparse.Namespace) -> int:
    """Make a token.  Nothing is stored: the token is the caller's, the entry goes into the configuration."""
    try:
        token, entry = auth.create(args.name, args.scope, args.expires)
    except ConfigurationError as exc:
        # The entry is not in the setting yet; what is wrong with it comes from the options.
        raise CommandError(
            str(exc).replace("LIFECYCLE_TOKENS, entry 1", "--name or --expires"), EXIT_USAGE
        ) from exc
    if args.json:
        print_json({"name": args.name, "token": token, "entry": entry})
        return EXIT_OK
    print_line(token)
    to_stderr("hand it over now: it is not stored anywhere and cannot be shown again")
    to_stderr(
        "add this to LIFECYCLE_TOKENS (comma-separated) in .chalice/config.json, stage "
        f"{settings.stage()}, and deploy:"
    )
    to_stderr(entry)
    return EXIT_OK
