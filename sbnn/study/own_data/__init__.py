"""A user's own cells: from one command to results, a fitted model, figures and a page to send to a colleague."""
