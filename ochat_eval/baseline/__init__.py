"""Runs side by side: recorded, compared, gated, and put beside published figures."""
