"""Networks with a bottleneck: `published`, and `distilled`, the more accurate one.

`base` has what both share: scaling, training by epochs, predictions and files (`saved`); `network`
the layers, their gradient, the losses and the loop over minibatches.
"""
