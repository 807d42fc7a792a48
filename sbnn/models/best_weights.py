"""Early stopping for the networks of the companions: the best weights in training."""

from copy import deepcopy


class BestWeights:
    """Weights of a module at its highest score; `waited` counts later scores."""

    def __init__(self, module):
        self.module = module
        self.score = None
        self.waited = 0

    def offer(self, score, always=False):
        """Keep the weights if the score is the highest, or always."""
        self.waited += 1
        if always or self.score is None or score > self.score:
            self.score = score
            self.weights = deepcopy(self.module.state_dict())
            self.waited = 0

    def restore(self):
        """Load the weights, if any."""
        if self.score is not None:
            self.module.load_state_dict(self.weights)
