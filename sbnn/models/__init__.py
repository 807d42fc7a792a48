"""Models, all scikit-learn estimators: `bottleneck` (the network), `linear` (its peers), `maps` (other maps)."""
