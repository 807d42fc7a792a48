"""Genes that are known to drive simulated outputs are counted among those that are found."""

import pytest
from made_up import Weigher, changed

from sbnn import paper_folds
from sbnn.evaluation.folds import split_and_scale
from sbnn.study.known_genes import find_known_genes


def test_known_genes_are_counted_and_r2_is_of_held_out_cells(data, tmp_path):
    how = {"params": [{"noise": 0.5, "seed": 0}], "results": tmp_path / "noise.pickle"}
    [row] = find_known_genes({"paper": Weigher()}, [data], **how).table.to_dict("records")
    X_train, Y_train, X_test, Y_test = split_and_scale(data, paper_folds(data.n_cells, 5)[0])
    model = Weigher(8).fit(X_train, Y_train)
    assert row["test_r2"] == model.score(X_test, Y_test)
    found = set(data.gene_names[model.get_support()]) & set(data.truth["genes"])
    assert row["precision"] == row["recall"] == len(found) / 8
    assert row["best_r2"] == 0.8
    for model, cells in ((Weigher(3), data), (Weigher(), changed(data, X=data.X + 1))):
        with pytest.raises(ValueError, match="results: .* differs in "):
            find_known_genes({"paper": model}, [cells], **how)
