"""Files of microscopes: reading with RosettaSciIO, counts from spectrum images, and a proposed config.

RosettaSciIO, HyperSpy and eXSpy are GPL-licensed and optional: they are imported only to read such a file.
"""
