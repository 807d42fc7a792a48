"""The public names, for type checkers, which see nothing of `__getattr__`."""

from . import metrics as metrics
from . import plotting as plotting
from . import results as results
from .data import preprocessing as preprocessing
from .data.counts import CountNormalizer as CountNormalizer
from .data.datasets import default_dataset as default_dataset
from .data.datasets import load_dataset as load_dataset
from .data.paired import paired as paired
from .data.simulate import simulate_patchseq as simulate_patchseq
from .ephys_types.data import typed_cells as typed_cells
from .evaluation.crossval import cross_validate as cross_validate
from .evaluation.crossval import epoch_curves as epoch_curves
from .evaluation.fits import fit_full as fit_full
from .evaluation.fits import stability_selection as stability_selection
from .evaluation.folds import grouped_folds as grouped_folds
from .evaluation.folds import later_fold as later_fold
from .evaluation.folds import paper_folds as paper_folds
from .evaluation.interpretation import interpret as interpret
from .evaluation.maps import map_trust as map_trust
from .evaluation.stability import genes_table as genes_table
from .evaluation.stability import selection_table as selection_table
from .evaluation.verdict import verdict as verdict
from .models.distilled import (
    DistilledBottleneckRegressor as DistilledBottleneckRegressor,
)
from .models.distilled import DistilledSettings as DistilledSettings
from .models.linear import LeaveOneOutRidge as LeaveOneOutRidge
from .models.linear import ReducedRankRegression as ReducedRankRegression
from .models.published import SparseBottleneckRegressor as SparseBottleneckRegressor
from .models.sparse_linear import SparseReducedRankRegression as SparseReducedRankRegression
from .models.stacked import StackedRegressor as StackedRegressor
from .own_data.explorer.explore import explore as explore
from .own_data.tables import read_tables as read_tables

__version__: str
