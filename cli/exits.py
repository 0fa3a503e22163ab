"""What an exit code means, for every command here."""

EXIT_OK = 0  # Done, and everything asked for is true.
EXIT_FAILED = 1  # Ran, but the verdict is no: something missing, rejected or unfinished.
EXIT_USAGE = 2  # The command line was wrong (argparse's own code), or standard output is closed.
EXIT_UNAVAILABLE = 3  # The stream, table or endpoint could not be reached.
EXIT_INTERRUPTED = 130  # Ctrl-C; what was done so far is in the summary.
