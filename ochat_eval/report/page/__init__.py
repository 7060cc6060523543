"""report.html: one self-contained page of a run, or of several side by side."""
