"""What is refused: an error begins with the argument that is wrong, and names what is wrong."""

import gzip
import re
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from sbnn import SparseReducedRankRegression, fit_full
from sbnn.models.distilled import DistilledBottleneckRegressor, DistilledSettings
from sbnn.own_data.names import PAGE
from sbnn.own_data.new_cells import predict_cells
from sbnn.own_data.results import read_panel, write_tables
from sbnn.own_data.tables import read_tables

RNG = np.random.default_rng(0)
CELLS = [f"c{i}" for i in range(12)]
COUNTS = pd.DataFrame(RNG.poisson(3, (12, 6)) + [[1]], CELLS, ["A1", "B2", "NA", "D", "E", "F"])
OUTPUTS = pd.DataFrame(RNG.normal(-60, 5, (12, 2)), CELLS, ["Vrest", "Rin"])
LABELS = pd.DataFrame({"type": list("aabb") * 3, "donor": list("xyz") * 4}, CELLS)
TABLES = {"expression": COUNTS, "outputs": OUTPUTS, "labels": LABELS}


class File(NamedTuple):
    """A file that a user gives, of which the error gives the path."""

    ending: str
    content: bytes


def change(table, cell, column, value):
    """A table with another value at one place."""
    changed = table.astype(object)
    changed.loc[cell, column] = value
    return changed


def cases_of_all_tables():
    """What none of the tables may be."""
    for argument, table in TABLES.items():
        column = table.columns[1]
        yield argument, 5, "int"
        yield argument, table.reset_index(drop=True), "rows are numbered"
        yield argument, table.set_axis(range(1, 13)), "rows are numbered"
        yield argument, pd.concat([table, table[3:4]]), "c3"
        yield argument, table.set_axis([column] * table.shape[1], axis=1), column
        yield argument, table.rename({"c0": ""}), "1 rows and 0 columns"
        yield argument, table.set_axis([f"s{i}" for i in range(12)]), "s0"
        yield argument, File("csv", b"cell\nc1\n"), ""


def cases_of_one_table():
    """What is no expression, or no outputs."""
    text = r"'-4,460' in row 'c2', column 'D'"
    yield "expression", change(COUNTS, "c2", "D", "-4,460"), text
    yield "expression", change(COUNTS, "c2", "D", np.nan).astype(float), "D"
    yield "expression", COUNTS.assign(nFeature=np.linspace(0, 1, 12)), "nFeature"
    yield "expression", COUNTS.assign(donor=range(12)), "donor"
    yield "expression", COUNTS.assign(doublet=COUNTS["D"] > 3), "doublet"
    yield "expression", COUNTS + 99.5, f"{COUNTS.to_numpy().max() + 99.5:g}"
    yield "expression", COUNTS * 0, ""
    yield "expression", COUNTS * 0 + 1, "genes"
    yield "expression", AnnData(COUNTS.to_numpy(float)), "rows are numbered"
    yield "expression", AnnData(COUNTS.astype(float))[:, [0, 1, 1]], "B2"
    yield "expression", File("h5ad", b""), ""
    yield "outputs", change(OUTPUTS, "c2", "Rin", "-4,460"), r"'-4,460' in row 'c2', column 'Rin'"
    yield "outputs", change(OUTPUTS, "c2", "Rin", np.inf), "Rin"
    yield "outputs", OUTPUTS.assign(day=pd.Timestamp("2020-01-01")), "day"
    yield "outputs", OUTPUTS * 0, "outputs"
    yield "outputs", OUTPUTS.assign(Tau=[1.0, 2.0, *[np.nan] * 10]), "Tau"
    yield "outputs", OUTPUTS.assign(seconds=1.7e9 + np.arange(12)), "seconds"
    shares = COUNTS["D"] / COUNTS.sum(axis=1)
    logs = np.log2(shares * COUNTS.sum(axis=1).median() + 1)
    for copy in (COUNTS["D"], np.log1p(COUNTS["D"]), logs):
        yield "outputs", OUTPUTS.assign(marker=3 * copy - 1), "marker copies the gene D"


#: Files that are no plain tables, which are read in one place.
FILES = [
    File("csv", b"\xff\xfe\x00"),
    File("csv", b"a,b\n1,2,3\n1,2,3,4\n"),
    File("csv", b"# made by featureCounts\ncell\tRin\nc0\t1\n"),
    # the lines between two quotation marks are one name
    File("csv", b'cell\tRin\n"c0\t1\nc1\t2\n"c2\t3\n'),
    # bytes of 0
    File("csv", b"name,Rin\nc1,3\nc2,\0\0\0"),
    # not compressed, and incomplete
    File("csv.gz", b"name,Rin"),
    File("csv.gz", gzip.compress(b"name,Rin\nc1,3\n" * 9)[:20]),
]


def cases_of_panels():
    """Files of genes that make no panel."""
    yield "require", File("txt", b"A1\r\nSST"), "SST"
    yield "require", File("txt", b"A1\nB2\nD"), "3 genes"
    yield "candidates", File("txt", b"SST\nVIP"), "SST, VIP"
    for argument in ("require", "candidates"):
        for content in (b"\n \n", b"\xff\xfeA1"):
            yield argument, File("txt", content), ""


def cases():
    """Functions, the argument that is wrong, its value, and what the error names."""
    for case in (*cases_of_all_tables(), *cases_of_one_table()):
        yield read_tables, *case
    for file in FILES:
        yield read_tables, "outputs", file, ""
    for case in cases_of_panels():
        yield read_panel, *case
    yield predict_cells, "expression", COUNTS.drop(columns="D"), "D"
    yield predict_cells, "expression", COUNTS.add_prefix("x"), "xA1"
    yield predict_cells, "expression", COUNTS * 0, ""
    yield predict_cells, "expression", AnnData(COUNTS.astype(float))[:, [0, *range(6)]], "A1"
    yield write_tables, "records", {}, "fit"
    yield write_tables, "records", {"seeds": 1}, "seeds"
    yield write_tables, "records", {"fit": 1}, "fit"


@pytest.fixture(scope="module")
def adata():
    return read_tables(**TABLES)


@pytest.fixture(scope="module")
def arguments(adata):
    """Arguments of each function that are right."""
    quick = DistilledSettings(n_trees=2, n_augmented=9, steps_of_teachers=2, steps_of_student=2)
    network = DistilledBottleneckRegressor(n_genes=6, distillation=quick, random_state=0)
    return {
        read_tables: TABLES,
        read_panel: {
            "gene_names": COUNTS.columns,
            "require": None,
            "candidates": None,
            "n_genes": 2,
        },
        predict_cells: {"model": network.fit(adata), "expression": COUNTS},
        write_tables: {"folder": "never", "data": adata},
    }


def assert_tells(error, argument, named):
    """It begins with an argument, or with two that do not match, and names what is wrong."""
    [begins_with] = re.findall(r"^(\w+(?: and \w+)?)\W", str(error))
    assert argument in begins_with.split(" and ")
    assert named in str(error)


@pytest.mark.filterwarnings("ignore:.* left out")
@pytest.mark.filterwarnings("ignore:.* with one value")
@pytest.mark.filterwarnings("ignore:(Variable|Observation) names are not unique")
@pytest.mark.parametrize(("function", "argument", "value", "named"), [*cases()])
def test_an_error_begins_with_its_argument(function, argument, value, named, arguments, tmp_path):
    given = value
    if isinstance(value, File):
        given = tmp_path / f"given.{value.ending}"
        given.write_bytes(value.content)
        named = named or str(given)
    with pytest.raises((TypeError, ValueError)) as raised:
        function(**arguments[function] | {argument: given})
    assert_tells(raised.value, argument, named)
    of_tables = function in (read_tables, predict_cells)
    if of_tables and raised.type is ValueError:
        assert str(raised.value).endswith(f"; see {PAGE}")


def test_records_of_other_cells_are_refused(adata, tmp_path):
    fit = fit_full(SparseReducedRankRegression(alpha=0.01), adata)
    with pytest.raises(ValueError) as raised:
        write_tables(tmp_path, adata[::-1], {"fit": fit})
    assert_tells(raised.value, "records", "cells")


def test_counts_for_a_model_of_logs_are_refused(arguments):
    model = arguments[predict_cells]["model"]
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ValueError) as raised:
        patch.setattr(model, "normalizer_", None)
        predict_cells(model, COUNTS)
    assert_tells(raised.value, "expression", "log values")
