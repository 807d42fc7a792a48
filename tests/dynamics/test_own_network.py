"""A user's own time course from the command line: tables to network, predictions and page."""

import numpy as np
import pandas as pd
import pytest
from same import assert_same

from sbnn import cli
from sbnn.dynamics import own_tables


def test_a_course_becomes_a_network_with_a_page(network, samples, prior, tmp_path, capsys):
    table = (
        samples.to_df()
        .assign(sample=samples.obs["sample"], time=samples.obs["time"])[:90]
        .astype(float)
    )
    # one of the last ends earlier
    table.drop(index=table.index[-6]).to_csv(tmp_path / "course.csv", index=False)
    signs = prior.where(network.graph != 0, -prior.abs())
    edges = (
        signs.stack()[lambda sign: sign != 0].rename("sign").rename_axis(["regulator", "target"])
    )
    edges.to_csv(tmp_path / "prior.csv")
    files = (
        str(tmp_path / "course.csv"),
        "--prior",
        str(tmp_path / "prior.csv"),
        "--out",
        str(tmp_path / "out"),
    )
    assert cli.main(["network", *files, "--fast"]) == 0
    assert capsys.readouterr().out.startswith("regulation explains")
    found = pd.read_csv(tmp_path / "out" / "edges.csv")
    assert (found["prior"] != 0).sum() == len(edges)
    assert found.equals(
        found.sort_values(["probability", "score"], key=np.abs, ascending=False, kind="stable")
    )
    assert_same(found[["probability", "score"]].abs().sum(), [42.3014, 25.713], rtol=1e-4)
    assert (
        network.graph.stack()[list(map(tuple, found[["regulator", "target"]].head(15).to_numpy()))]
        .ne(0)
        .mean()
        > 0.9
    )
    page = (tmp_path / "out" / "network.html").read_text()
    assert all(
        part in page for part in ("regulation explains", "AR(1) of each gene", found["target"][0])
    )
    assert page.count("data:image/png;base64,") == 2
    predicted = pd.read_csv(tmp_path / "out" / "predictions.csv").set_index(["sample", "time"])
    measured = table.set_index(["sample", "time"]).loc[[15, 17]]
    assert predicted.index.equals(measured.index) and (tmp_path / "out" / "paths.png").exists()
    errors = ((predicted - measured) ** 2).groupby("time").mean().mean(axis=1)
    assert_same(1e3 * errors, [0, 1.23885, 1.36385, 1.1849, 1.17035])


def test_cells_get_their_times_from_another_table(tmp_path, rng):
    cells = pd.DataFrame(rng.poisson(30, (40, 3)), [f"c{i}" for i in range(40)], [*"ABC"])
    times = pd.DataFrame(
        {"time": np.tile(range(20), 2), "sample": np.repeat([*"xy"], 20)}, cells.index
    )
    files = {
        "cells": cells,
        "times": times,
        "pseudo": times["time"].rename("t"),
        "fewer": cells[:30],
    }
    cells, times, pseudo, fewer = (tmp_path / f"{name}.tsv" for name in files)
    for name, table in files.items():
        table.to_csv(tmp_path / f"{name}.tsv", sep="\t")
    with pytest.warns(UserWarning, match="counts are scaled"):
        data, binned = own_tables.read_course(cells, times), own_tables.read_course(cells, pseudo)
    assert (
        data.obs["sample"].value_counts().to_dict() == {"x": 20, "y": 20}
        and data.X.max() < 8
        and binned.n_obs == 20
    )
    with pytest.raises(ValueError, match="times: the expression has no row c30, "):
        own_tables.read_course(fewer, times)
