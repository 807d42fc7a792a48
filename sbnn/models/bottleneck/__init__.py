"""Networks with a bottleneck: `sparse` is the published one, `distilled` the more accurate one.

`base` has what both share, and `protocols` how they are trained.
"""
