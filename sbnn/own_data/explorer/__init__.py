"""One HTML file to explore a fitted model: its map, genes and outputs, and comparisons of cells."""
