"""Cross-validation, tests and interpretation for any scikit-learn-style estimator."""
