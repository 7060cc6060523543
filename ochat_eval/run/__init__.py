"""A run's folder: its files, its journal, what it is, and where its records stand."""
