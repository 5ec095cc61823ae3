"""Accuracy of guided and other penalties, and cases in which a guide misleads."""
