"""Figures of a run with matplotlib, as PNG files and in notebooks; nothing else imports matplotlib."""
