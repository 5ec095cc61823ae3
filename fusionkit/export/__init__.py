"""Results in the formats of other programs: HyperSpy's ``.hspy`` and ``.zspy``, and TIFF for ImageJ.

A writer is a class without parameters (`fusionkit.export.writers.Writer`); a plug-in adds one under its own name.
RosettaSciIO and tifffile are optional and imported only when such a file is written; HyperSpy is never imported.
"""

TABLE = {
    "writers": {
        "hspy": "fusionkit.export.hspy:HspyWriter",
        "zspy": "fusionkit.export.hspy:ZspyWriter",
        "tiff": "fusionkit.export.tiff:TiffWriter",
    }
}
