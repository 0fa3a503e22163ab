"""Processes as the tests look at them: who descends from whom, who is still there."""

import subprocess
from collections.abc import Mapping

from local.emulator import process


def command_lines(pid: int) -> dict[int, str]:
    """A process and all its descendants, with their command lines."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=", "-o", "ppid=", "-o", "command="],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    commands = {int(row[0]): row[2] if len(row) > 2 else "" for row in rows}
    parents = {int(row[0]): int(row[1]) for row in rows}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {each: commands[each] for each in found if each in commands}


def alive(processes: Mapping[int, str]) -> dict[int, str]:
    """Those that have not ended.  A process id that was given to another program has."""
    now = {pid: process.command_line(pid) for pid in processes}
    return {
        pid: line for pid, line in now.items() if line is not None and line.split() == processes[pid].split()
    }
