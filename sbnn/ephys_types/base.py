"""What all classifiers of this room share: NaN is allowed, and the most probable type is the answer."""

from sklearn.base import BaseEstimator, ClassifierMixin


class TypeClassifier(ClassifierMixin, BaseEstimator):
    """A classifier with `predict_proba` and `classes_`, to which a missing value is NaN."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def predict(self, X):
        """Most probable type of each cell.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)

        Returns
        -------
        ndarray, shape (n,)
        """
        codes = self.predict_proba(X).argmax(axis=1)  # first, so that an unfitted model says that it is
        return self.classes_[codes]
