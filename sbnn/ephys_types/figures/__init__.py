"""The figures of electrophysiology -> type: every function takes records and returns a matplotlib Figure.

`accuracy`, `confusion`, `families` (attention beside importance), `calibration`, `conditions`, `transfer`, `cells`
(sparse PCs and t-SNE); `gallery` has them in their order.
"""
