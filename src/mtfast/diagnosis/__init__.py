"""What silently spoils training with a dataset.

facts (what is gathered) -> checks (what can be wrong with it) -> diagnose (runs and reports them)
"""
