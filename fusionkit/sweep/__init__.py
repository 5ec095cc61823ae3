"""Many runs of one configuration: over lists and ranges of values (a sweep), or over several files (a batch)."""
