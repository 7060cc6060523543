"""The published tables with a run's row."""
