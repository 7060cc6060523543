"""The guide: a page for each job."""
