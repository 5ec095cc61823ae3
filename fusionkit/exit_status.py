"""The exit statuses of the command line."""

DONE = 0  # the status in summary.json says how
WRONG = 2  # the user's input
DIVERGED = 3
FAILED = 4  # at least one point of a sweep
INTERRUPTED = 130
