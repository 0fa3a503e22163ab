"""The bill in docs/deploying.md: what `python -m ops plan` prints for its default load, line by line.

`python -m tests.support.priced` writes it anew, for when prices or the arithmetic have changed.  The only
place that knows where in the document it stands.
"""

import re
import subprocess
import sys

from cli.paths import ROOT

DOCUMENT = ROOT / "docs" / "deploying.md"

_BLOCK = re.compile(r"(<!-- python -m tests\.support\.priced -->\n)(.*?)(<!-- end -->\n)", re.DOTALL)


def written() -> str:
    """The bill as it stands in the document."""
    [(_, bill, _)] = _BLOCK.findall(DOCUMENT.read_text())
    return str(bill)


def printed() -> str:
    """The cheapest alternative, the one that infra/ describes, and the bill of the first, as printed."""
    answer = subprocess.run(
        [sys.executable, "-m", "ops", "plan"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    alternatives, _, bill = answer.stdout.partition("note:")[0].partition(
        "the first of them, line by line:\n"
    )
    shown, _, remarks = alternatives[alternatives.index("USD/month  drain time") :].partition("\n\n")
    heading, first, *rows = shown.splitlines()
    [(number, described)] = re.findall(r"^(\d+)(: as described in infra/)$", remarks, re.M)
    deployed = [row for row in (first, *rows) if number in re.split(r"[ ,]+", row[heading.index("notes") :])]
    chosen = [*dict.fromkeys([heading, first, *deployed]), "", number + described]
    lines = [line.rstrip() for line in [*chosen, "", *bill.splitlines()]]
    return "\n" + "\n".join(f"    {line}".rstrip() for line in lines) + "\n\n"


def main() -> None:
    """Write the bill into the document."""
    DOCUMENT.write_text(_BLOCK.sub(rf"\1{printed()}\3", DOCUMENT.read_text()))


if __name__ == "__main__":
    main()
