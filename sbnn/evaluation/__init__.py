"""How good is a model? Everything here takes any scikit-learn-style estimator."""
