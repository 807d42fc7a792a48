"""What a cross-validation over the number of genes says of how many are needed, from saved records alone."""

import pandas as pd

from sbnn.metrics import smallest_sufficient


def genes_table(record):
    """Test R2 by the number of genes, mean and SD over folds, and which number suffices.

    Parameters
    ----------
    record : Record
        From `genes_curve`.

    Returns
    -------
    DataFrame
        Indexed by ``n_genes``, a number or ``"auto"``: ``test_r2``, ``sd``, ``behind`` (the best number less this one),
        ``genes`` (mean number kept), and ``suffices``, true of the smallest number within one standard error of the
        best one.

    Raises
    ------
    ValueError
        If it is another record, the numbers do not ascend, or there is one fold only.
    """
    if any("n_genes" not in point for point in record.params):
        raise ValueError("record: expected a cross-validation over n_genes, as from genes_curve")
    points = [g for g, point in enumerate(record.params) if isinstance(point["n_genes"], int)]
    enough = smallest_sufficient(record.test_r2[:, points], [record.params[g]["n_genes"] for g in points])
    best = record.test_r2[:, points].mean(0).max()
    rows = pd.DataFrame(
        {
            "test_r2": record.test_r2.mean(0),
            "sd": record.test_r2.std(0, ddof=1),
            "behind": best - record.test_r2.mean(0),
            "genes": record.n_selected.mean(0),
        },
        index=pd.Index([point["n_genes"] for point in record.params], name="n_genes"),
    )
    return rows.assign(suffices=[index == enough for index in rows.index])
