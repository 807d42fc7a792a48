"""A progress bar over the epochs of a training."""

from tqdm.auto import tqdm


class EpochBar(tqdm):
    """Progress bar over epochs that a trainer can call."""

    def __init__(self, total, disable):
        super().__init__(total=total, desc="epochs", unit="epoch", leave=False, disable=disable)

    def __call__(self, done):
        """Say how many epochs are done, of all."""
        self.update(done - self.n)
