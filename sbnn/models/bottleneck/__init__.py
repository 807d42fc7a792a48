"""The sparse bottleneck network: `estimator` is what users call, `protocols` say how it is trained.

Below the estimator: `parameters` (what they may be), `scales` (into the network and out), `stream_fit`,
`persistence`, `progress`. Below the protocols: `network` (weights, gradients), `training` (the loop),
`gene_prior` (what is known of genes beforehand, and how it counts when some are chosen).
"""
