"""How much a file can hold: what claims more is damaged."""

# values per byte of the file beyond which a shape is damaged: streams of single counts need few bytes for many channels
MOST_SHRINKAGE = 2_000
HARMLESS = 2**25  # bytes that are not worth a look
