"""Parts of the objective: fidelities, forward models, penalties, functionals and linear operators."""

if __name__ != "fusionkit.operators":
    raise ImportError(f"import this package as fusionkit.operators, not as {__name__}")

TABLE = {
    "terms": {
        "haadf": "fusionkit.operators.fidelity.haadf:haadf",
        "poisson": "fusionkit.operators.fidelity.poisson:poisson",
        "gaussian": "fusionkit.operators.fidelity.gaussian:gaussian",
        "least_squares": "fusionkit.operators.fidelity.least_squares:least_squares",
        "tv": "fusionkit.operators.penalty.tv:tv",
        "penalty": "fusionkit.operators.penalty:penalty",
        "l1": "fusionkit.operators.penalty:l1",
        "l2": "fusionkit.operators.penalty:l2",
        "anisotropic_tv": "fusionkit.operators.penalty.tv:anisotropic_tv",
        "huber_tv": "fusionkit.operators.penalty.tv:huber_tv",
        "tgv": "fusionkit.operators.penalty.tgv:tgv",
        "vectorial_tv": "fusionkit.operators.penalty.vectorial_tv:vectorial_tv",
        "directional_tv": "fusionkit.operators.penalty.guided_tv:directional_tv",
        "structure_tensor_tv": "fusionkit.operators.penalty.guided_tv:structure_tensor_tv",
        "joint_nonlocal": "fusionkit.operators.penalty.joint_nonlocal:joint_nonlocal",
        "pyproximal": "fusionkit.operators.penalty.pyproximal:term",
        "nonnegative": "fusionkit.operators.penalty.bounds:nonnegative",
        "box": "fusionkit.operators.penalty.bounds:box",
    },
    "forwards": {
        "power_sum": "fusionkit.operators.forward.haadf_models:power_sum",
        "z_contrast": "fusionkit.operators.forward.haadf_models:z_contrast",
        "identity": "fusionkit.operators.forward.identity:identity",
        "sum": "fusionkit.operators.forward.power_sum:total",
        "element": "fusionkit.operators.forward.power_sum:element",
        "absorption": "fusionkit.operators.forward.absorption:absorption",
        "affine": "fusionkit.operators.forward.linear:affine",
        "elements": "fusionkit.operators.forward.elements:elements",
        "spectral": "fusionkit.operators.forward.spectral:spectral",
        "scan": "fusionkit.operators.forward.scan:scan",
        "blur": "fusionkit.operators.forward.blur:blur",
        "pylops": "fusionkit.operators.forward.linear:pylops_forward",
        "linear": "fusionkit.operators.forward.linear:linear_forward",
    },
    "functionals": {
        "l1": "fusionkit.operators.functional.norms:l1",
        "l21": "fusionkit.operators.functional.norms:l21",
        "l2": "fusionkit.operators.functional.norms:l2",
        "euclidean": "fusionkit.operators.functional.norms:euclidean",
        "huber": "fusionkit.operators.functional.huber:huber",
        "nuclear": "fusionkit.operators.functional.nuclear:nuclear",
        "pyproximal": "fusionkit.operators.penalty.pyproximal:functional",
    },
    "operators": {
        "identity": "fusionkit.operators.linear:identity",
        "gradient": "fusionkit.operators.linear.gradient:gradient",
        "guided_gradient": "fusionkit.operators.linear.guided_gradient:guided_gradient",
        "laplacian": "fusionkit.operators.linear.laplacian:laplacian",
        "symmetric_gradient": "fusionkit.operators.linear.symmetric_gradient:symmetric_gradient",
        "pylops": "fusionkit.operators.linear.pylops:pylops_map",
    },
}
