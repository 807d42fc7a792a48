"""The sparse bottleneck network: `estimator` is what users call, `protocols` say how it is trained.

`network` (weights and gradients), `training` (the loop), `scales` (into the network and out), `gene_prior`, `settings`,
`persistence`.
"""
