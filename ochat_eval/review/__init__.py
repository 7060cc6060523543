"""A person reads over the rules' shoulders: answers to look at, marks on readings, error rates."""
