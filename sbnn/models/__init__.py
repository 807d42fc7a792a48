"""Models as scikit-learn estimators: networks in `bottleneck`, and linear baselines."""
