"""Preparation of the data before normalisation: steps in the order of the config's list.

A step is a function (options, dataset, config key) that returns a new dataset with one more note. A plug-in adds one
under the kind ``preparations``.
"""

TABLE = {
    "preparations": {
        "crop": "fusionkit.data.prepare.crop:crop",
        "bin": "fusionkit.data.prepare.binning:bin_pixels",
        "register": "fusionkit.data.prepare.register:register",
        "register_frames": "fusionkit.data.prepare.frames:register_frames",
        "sum_frames": "fusionkit.data.prepare.frames:sum_frames",
        "outliers": "fusionkit.data.prepare.outliers:outliers",
        "background": "fusionkit.data.prepare.background:background",
    }
}
