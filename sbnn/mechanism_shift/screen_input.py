"""What the models of a screen share: the same input, checked in the same way."""

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sbnn.mechanism_shift.cells import checked_counts, checked_screen


class ScreenModel(TransformerMixin, BaseEstimator):
    """Base of models that are fitted to counts and the perturbation of each cell."""

    def _training_cells(self, counts, perturbation, control):
        """What `checked_screen` gives; the control, numbers and names of the genes are kept."""
        self.control_ = None if control is None else str(control)
        checked = checked_screen(counts, perturbation, self.control_, self.n_latent)
        validate_data(self, counts, skip_check_array=True)
        return checked

    def _more_cells(self, counts):
        """What `checked_counts` gives, of cells with the genes that the model was fitted to."""
        check_is_fitted(self)
        checked = checked_counts(counts)
        validate_data(self, counts, skip_check_array=True, reset=False)
        return checked

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.target_tags.required = True
        return tags
