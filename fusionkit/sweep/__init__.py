"""Many runs of one configuration: a sweep over lists and ranges of values, or a batch over several files."""
