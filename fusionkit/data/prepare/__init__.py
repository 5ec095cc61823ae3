"""Preparation of the data before they are normalised: steps that the config names, in the order of its list.

A step is a function of its options, the dataset and its config key (for errors). It returns a new dataset with one
note more and changes nothing. A plug-in adds one under the kind ``preparations``.
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
