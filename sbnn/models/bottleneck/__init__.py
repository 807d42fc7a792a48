"""Networks with a bottleneck: `published`, and `distilled`, the more accurate one.

`base` has what both share, and `network` the layers and their training.
"""
