"""Functions of a flat vector with a prox, weight included: norms, Huber, nuclear norm, sums of norms."""
