"""Preparation of the data before they are normalised: steps that the config names, in the order of its list.

A step is a function of its options, the dataset and its config key (for errors). It returns a new dataset with one
note more and changes nothing. A plug-in adds one under the kind ``preparations``.
"""

TABLE = {
    "preparations": {
        "crop": "fusionkit.preparation.crop:crop",
        "bin": "fusionkit.preparation.binning:bin_pixels",
        "register": "fusionkit.preparation.register:register",
        "register_frames": "fusionkit.preparation.frames:register_frames",
        "sum_frames": "fusionkit.preparation.frames:sum_frames",
        "outliers": "fusionkit.preparation.outliers:outliers",
        "background": "fusionkit.preparation.background:background",
    }
}
