"""The exit statuses of the command line."""

DONE = 0  # the status in summary.json says how
WRONG = 2  # the user's input
DIVERGED = 3
FAILED = 4  # at least one point of a sweep
LOST = 5  # the scheduler of a sweep; the same command resumes
INTERRUPTED = 130
