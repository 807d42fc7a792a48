"""From electrophysiology to the transcriptomic type of a cell: classifiers in scikit-learn's grammar.

All take features in families (`sbnn.data.families`), NaN where one is missing.
"""
