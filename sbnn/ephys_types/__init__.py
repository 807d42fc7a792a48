"""From electrophysiology to the transcriptomic type of a cell."""
