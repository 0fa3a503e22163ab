"""`ops token`: who may use the API.  What it changes holds within a minute, without a deployment."""

import argparse
import time
from typing import TYPE_CHECKING

import msgspec

from chalicelib import settings
from chalicelib.api import auth
from chalicelib.domain import events
from chalicelib.tables.token import Token
from cli import stage
from cli.arguments import Commands
from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from cli.output import to_stderr
from ops import arguments
from ops.deploy import token_entries
from ops.output import CommandError, counted, print_json, print_line, print_table, when

if TYPE_CHECKING:
    from chalicelib.tables.access import Access

CREATE_EXAMPLES = """\
  # a token that may read
  python -m ops token create --name dealer-portal

  # one for a dealer who reports events of the products of one plant, and that ends by itself
  python -m ops token create --name dealer-0173 --scope write --prefix SN-4 --expires 2027-12-31 --json
"""

LIST_EXAMPLES = """\
  # who may do what, and who still does
  python -m ops token list

  # the same for a program
  python -m ops token list --json > tokens.ndjson
"""

REVOKE_EXAMPLES = """\
  # which tokens would go
  python -m ops token revoke --name dealer-0173 --dry-run

  # within a minute they are refused
  python -m ops token revoke --name dealer-0173
"""

IMPORT_EXAMPLES = """\
  # what LIFECYCLE_TOKENS of the stage in .chalice/config.json lists
  python -m ops token import --stage prod

  # what it listed elsewhere
  python -m ops token import --stage prod --entries dealer-portal:read:DIGEST
"""

#: A string set of this size stays a small part of an item.
MAX_PREFIXES = 100


def add(nouns: Commands, help: str) -> None:
    """Add the noun to the command line."""
    verbs = arguments.noun(nouns, "token", help)
    parser = arguments.command(verbs, "create", "make a token and show it once", CREATE_EXAMPLES, run=create)
    parser.add_argument(
        "--name", type=_name, required=True, help="who gets it; the access log shows this name"
    )
    parser.add_argument(
        "--scope",
        action="append",
        choices=auth.SCOPES,
        help="what it may do: read histories, write (report events), ask for reports; repeat for several "
        "(default: read)",
    )
    parser.add_argument(
        "--prefix",
        action="append",
        type=_prefix,
        default=[],
        help="only products whose serials begin so; repeat for several (default: every product)",
    )
    parser.add_argument(
        "--expires",
        type=_expiry,
        metavar="DATE",
        help="the day (in UTC) or RFC 3339 time it stops working",
    )
    arguments.command(verbs, "list", "show tokens, without the tokens themselves", LIST_EXAMPLES, run=list_)
    parser = arguments.command(verbs, "revoke", "delete the tokens of a name", REVOKE_EXAMPLES, run=revoke)
    parser.add_argument("--name", type=_name, required=True, help="whose")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be deleted")
    parser = arguments.command(
        verbs, "import", "take over the entries of LIFECYCLE_TOKENS", IMPORT_EXAMPLES, run=import_
    )
    parser.add_argument(
        "--entries", metavar="LIST", help="the setting's value (default: that of .chalice/config.json)"
    )


def create(args: argparse.Namespace) -> int:
    """Make a token under a name that is free."""
    access = _access()
    if any(token.name == args.name for token in access.tokens()):
        raise CommandError(
            f"there is a token {args.name} already; give this one another name, so that the two can be told "
            "apart",
            EXIT_FAILED,
        )
    if len(args.prefix) > MAX_PREFIXES:
        raise CommandError(f"--prefix: at most {MAX_PREFIXES}, got {len(args.prefix)}", EXIT_USAGE)
    secret = auth.new_token()
    token = Token(
        digest=auth.digest(secret),
        name=args.name,
        scopes=frozenset(args.scope or (auth.READ,)),
        prefixes=tuple(sorted(set(args.prefix))),
        created_at=int(time.time()),
        expires_at=args.expires,
    )
    access.add(token)
    if args.json:
        print_json({**_shown(token), "token": secret})
        return EXIT_OK
    print_line(secret)
    to_stderr(
        "hand it over now: it is not stored anywhere and cannot be shown again; it holds within a minute"
    )
    return EXIT_OK


def list_(args: argparse.Namespace) -> int:
    """Show every token, by name."""
    tokens = sorted(_access().tokens(), key=lambda token: (token.name, token.digest))
    if args.json:
        for token in tokens:
            print_json(_shown(token))
        return EXIT_OK
    now = time.time()
    print_table(
        ("name", "may", "products", "created", "expires", "last seen"),
        [
            (
                token.name,
                ", ".join(sorted(token.scopes)),
                ", ".join(f"{prefix}…" for prefix in token.prefixes) or "all",
                when(token.created_at * 1000)[:10],
                _until(token, now),
                token.last_seen or "never",
            )
            for token in tokens
        ],
    )
    return EXIT_OK


def revoke(args: argparse.Namespace) -> int:
    """Delete the tokens of a name."""
    access = _access()
    found = [token for token in access.tokens() if token.name == args.name]
    if not found:
        raise CommandError(f"there is no token {args.name}; see python -m ops token list", EXIT_FAILED)
    for token in found:
        if not args.dry_run:
            access.remove(token.digest)
        if args.json:
            print_json({**_shown(token), "revoked": not args.dry_run})
    said = counted(len(found), "token") + f" of {args.name}"
    to_stderr(f"{said} would be revoked" if args.dry_run else f"{said} revoked; refused within a minute")
    return EXIT_OK


def import_(args: argparse.Namespace) -> int:
    """Add the tokens that LIFECYCLE_TOKENS lists; one that is there already stays as it is."""
    listed = args.entries
    if listed is None:
        listed = stage.environment(settings.stage()).get("LIFECYCLE_TOKENS", "")
    found = token_entries.parse(listed, int(time.time()))
    if not found:
        raise CommandError(
            f"LIFECYCLE_TOKENS of stage {settings.stage()} lists no tokens; give its value with --entries",
            EXIT_FAILED,
        )
    access = _access()
    added = 0
    for token in found:
        is_new = access.add(token)
        added += is_new
        if args.json:
            print_json({**_shown(token), "added": is_new})
    to_stderr(
        f"{counted(added, 'token')} added, {len(found) - added} were there; LIFECYCLE_TOKENS is read no more "
        "and can go"
    )
    return EXIT_OK


def _access() -> "Access":
    from ops import clients

    return clients.access()


def _shown(token: Token) -> dict[str, object]:
    """What may be shown of a token, as JSON."""
    shown: dict[str, object] = msgspec.structs.asdict(token)
    return {
        **shown,
        "scopes": sorted(token.scopes),
        "created_at": when(token.created_at * 1000),
        "expires_at": None if token.expires_at is None else when(token.expires_at * 1000),
    }


def _until(token: Token, now: float) -> str:
    if token.expires_at is None:
        return "never"
    return when(token.expires_at * 1000)[:19] + "Z" + (" (over)" if token.has_expired(now) else "")


def _name(text: str) -> str:
    if not token_entries.is_name(text):
        raise argparse.ArgumentTypeError(f"expected {token_entries.NAME_RULE}, got {text[:70]!r}")
    return text


def _prefix(text: str) -> str:
    if not events.is_serial(text):
        raise argparse.ArgumentTypeError(f"expected the beginning of a serial, {events.SERIAL_RULE}")
    return text


def _expiry(text: str) -> int:
    try:
        return token_entries.expiry(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc
