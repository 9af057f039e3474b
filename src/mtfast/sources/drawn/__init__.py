"""Layouts of tools in which people draw on images; :mod:`.table` is what they share."""
