"""Whether maps are counts, rates or fractions, and their conversion to counts."""
