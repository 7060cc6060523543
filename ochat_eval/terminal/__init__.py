"""What a person at a terminal reads and types; every room may use it."""
