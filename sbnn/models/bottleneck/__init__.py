"""Networks with a bottleneck: `sparse` is the published one, `distilled` the more accurate one.

`base` has what both classes share, and `protocols` define how they are trained. The other modules
are `network` (weights and gradients), `products` (matrix products), `training` (the training loop),
`scales` (scaling of inputs and outputs), `gene_prior`, `settings` and `persistence`.
"""
