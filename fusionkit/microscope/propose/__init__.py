"""``fusionkit inspect``: the content of recordings, and a config for them."""
