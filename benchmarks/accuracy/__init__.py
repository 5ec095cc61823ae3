"""Accuracy of fused maps against the ground truth: specimens, doses, methods, and the targets for fusionkit."""
