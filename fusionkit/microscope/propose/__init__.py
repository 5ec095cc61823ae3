"""``fusionkit inspect``: the content of recordings, and a config for them with first guesses of the weights."""
