"""Statistics that people look at: a table of all instances, and a page of plots.

instances (read and measured once) -> area_table (.csv), figures -> page (.html, .png)
"""

from mtfast.report.area_table import check_area_table, write_area_table
from mtfast.report.instances import SplitInstances, read_instances
from mtfast.report.page import check_plots, write_plots

__all__ = [
    "SplitInstances",
    "check_area_table",
    "check_plots",
    "read_instances",
    "write_area_table",
    "write_plots",
]
