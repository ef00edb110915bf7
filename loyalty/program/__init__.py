"""The program: the retailer's rule set, as values, and the reading and checking of its file."""
