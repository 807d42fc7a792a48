"""The sparse bottleneck network: `estimator` is what users call, `protocols` say how it is trained.

Below them: `network` (weights and gradients), `training` (the loop), `batched_fits` (many at once), `persistence`.
"""
