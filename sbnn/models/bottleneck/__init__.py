"""The sparse bottleneck network: `estimator` is the public class, `protocols` define its training.

`network` (weights and gradients), `training` (the loop), `scales` (of inputs and outputs), `gene_prior`, `settings`,
`persistence`.
"""
