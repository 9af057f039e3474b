"""What is wrong with a dataset: the checks, and what is gathered for them."""
