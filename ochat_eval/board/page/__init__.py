"""The files of the board's page."""
