"""Networks with a bottleneck: `published`, and `distilled`, the more accurate one.

`base` has what both share: scaling, predictions and files (`saved`); `network` the layers and their
gradient; `training` the losses and the loop.
"""
