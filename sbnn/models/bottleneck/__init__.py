"""The sparse bottleneck network: `estimator` contains the public class, and `protocols` define how
it is trained.

The other modules are `network` (weights and gradients), `products` (matrix products), `training`
(the training loop), `scales` (scaling of inputs and outputs), `gene_prior`, `settings` and
`persistence`.
"""
