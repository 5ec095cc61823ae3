"""What maps are, counts, rates or fractions, and how they become counts."""
