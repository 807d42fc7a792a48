"""Analysis of a user's own cells: one command for results, a model, figures and a report."""
