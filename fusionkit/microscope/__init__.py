"""Files of microscopes: reading with RosettaSciIO, counts from spectrum images, and a proposed config.

On its way to counts a file passes `reader`, which has RosettaSciIO parse it in a process of its own (`reader_process`,
`rosettasciio`), and `spectra`, where counts are made: windows of energy, the model of all lines, or a fit.

RosettaSciIO, HyperSpy and eXSpy are GPL-licensed and optional: they are imported only to read such a file.
"""
