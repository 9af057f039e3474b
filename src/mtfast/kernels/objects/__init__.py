"""Few masks without the cost of a call: compiled code that reads lists of dicts itself."""
