"""Hydra configuration: one small file for each thing a user can choose."""
