"""How good is a model? Everything here takes any scikit-learn-style estimator.

`folds` and `crossval`; `repeats` and `stability` (which genes to trust); `full_fits` (a model of all cells);
`interpretation` (what genes do); `prior_fits` and `prior_tables` (what a prior of the genes does); `neighbours` (labels
on maps); `runs` (fits that resume).

Of types of cells: `donors` (folds), `classification`, `predictions` (what its records say), `paired` (which model is
better) and `family_importance`.
"""
