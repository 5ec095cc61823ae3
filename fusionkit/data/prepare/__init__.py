"""Preparation of the data before normalisation: the steps of the config, in the order of its list.

A step is a function of its options, the dataset and its config key (for errors). It returns a new dataset with one
more note and does not change its input. A plug-in adds one under the kind ``preparations``.
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
