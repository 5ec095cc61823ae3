"""From spectrum images to counts: X-ray lines, windows around them, and fits of peaks and background."""
