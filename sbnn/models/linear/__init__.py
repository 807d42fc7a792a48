"""Linear peers of the sparse bottleneck network: ridge, (sparse) reduced-rank regression, elastic net.

All follow the scikit-learn grammar, centre X and Y by their training means, work in float64, and score by
`sbnn.metrics.pooled_r2`. None of them scales its input: the penalties treat all genes and all outputs alike, so
z-score both beforehand.
"""

from sbnn.models.linear.per_feature import PerFeatureElasticNet
from sbnn.models.linear.reduced_rank import ReducedRankRegression
from sbnn.models.linear.ridge import LeaveOneOutRidge
from sbnn.models.linear.sparse import SparseReducedRankRegression

__all__ = [
    "LeaveOneOutRidge",
    "PerFeatureElasticNet",
    "ReducedRankRegression",
    "SparseReducedRankRegression",
]
