"""One HTML file to explore a fitted model: its map, what lies where on it, and what sets cells apart."""
