"""What people look at: the table and the page."""
