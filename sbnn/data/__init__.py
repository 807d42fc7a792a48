"""Data sets as AnnData objects, their readers, checks and preprocessing."""
