"""What people look at: the table in the terminal and in Markdown, and the HTML page."""
