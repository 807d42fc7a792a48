"""Analysis of a user's own cells: one command computes results, a fitted model, figures and an HTML report."""
