"""The public names, for type checkers, which see nothing of `__getattr__`."""

from sbnn import metrics as metrics
from sbnn import plotting as plotting
from sbnn import results as results
from sbnn.data import preprocessing as preprocessing
from sbnn.data.count_normalizer import CountNormalizer as CountNormalizer
from sbnn.data.datasets import default_dataset as default_dataset
from sbnn.data.datasets import load_dataset as load_dataset
from sbnn.data.diagnose import diagnose as diagnose
from sbnn.data.ephys_tables import read_ephys_table as read_ephys_table
from sbnn.data.paired import paired as paired
from sbnn.data.readers.tables import read_tables as read_tables
from sbnn.data.simulate import simulate_patchseq as simulate_patchseq
from sbnn.data.typed_cells import typed_cells as typed_cells
from sbnn.evaluation.annotation import annotate as annotate
from sbnn.evaluation.crossval import cross_validate as cross_validate
from sbnn.evaluation.crossval import epoch_curves as epoch_curves
from sbnn.evaluation.fits import fit_full as fit_full
from sbnn.evaluation.fits import genes_curve as genes_curve
from sbnn.evaluation.fits import stability_selection as stability_selection
from sbnn.evaluation.folds import grouped_folds as grouped_folds
from sbnn.evaluation.folds import later_fold as later_fold
from sbnn.evaluation.folds import paper_folds as paper_folds
from sbnn.evaluation.interpretation import interpret as interpret
from sbnn.evaluation.maps import map_trust as map_trust
from sbnn.evaluation.stability import genes_table as genes_table
from sbnn.evaluation.stability import selection_table as selection_table
from sbnn.evaluation.verdict import verdict as verdict
from sbnn.explorer.explore import explore as explore
from sbnn.models.bottleneck.distilled import (
    DistilledBottleneckRegressor as DistilledBottleneckRegressor,
)
from sbnn.models.bottleneck.settings import DistilledSettings as DistilledSettings
from sbnn.models.bottleneck.sparse import SparseBottleneckRegressor as SparseBottleneckRegressor
from sbnn.models.linear import LeaveOneOutRidge as LeaveOneOutRidge
from sbnn.models.linear import ReducedRankRegression as ReducedRankRegression
from sbnn.models.sparse_linear import SparseReducedRankRegression as SparseReducedRankRegression

__version__: str
