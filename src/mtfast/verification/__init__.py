"""Shipped masks against regenerated ones, pixel by pixel, and the rule that explains them best."""
