"""A config for recordings that runs unedited: their sources, the weights of the fits, and the listing of `inspect`."""
