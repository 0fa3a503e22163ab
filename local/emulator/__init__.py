"""The AWS endpoint (MiniStack) as a child process."""
