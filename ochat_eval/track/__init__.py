"""Experiment trackers: a reported run's figures and files, sent to where its user looks."""
