"""A time course and a prior are read from every documented format."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sbnn import cli
from sbnn.data.readers.course import read_course, read_prior
from sbnn.data.readers.reading import ReadingError
from sbnn.data.readers.times import possible_repeats
from sbnn.data.trajectories import read_pseudotime

ROWS = {"x": {0: [0.5, 1.0], 2: [0.25, 0.0]}, "y": {1: [0.5, 0.0], 3: [0.125, 1.0]}}


@pytest.fixture
def written(tmp_path):
    """Writes a text to a file and returns its path."""

    def write(text, ending="csv"):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.{ending}"
        path.write_text(text)
        return path

    return write


def content(course):
    """Values by sample and time."""
    found = {}
    for row, values in zip(course.obs.itertuples(), course.X, strict=True):
        found.setdefault(row.sample, {})[row.time] = values.tolist()
    return found


def notes(course):
    return "; ".join(course.uns["sbnn"]["notes"])


@pytest.mark.parametrize(
    "text",
    [
        "sample,time,a,b\nx,0,.5,1\nx,2,.25,0\ny,1,.5,0\ny,3,.125,1\n",
        "Time\tSAMPLE\ta\tb\n2\tx\t.25\t0\n0\tx\t.5\t1\n3\ty\t.125\t1\n1\ty\t.5\t0\n",  # unsorted
        "n,sample,time,a,b\n1,x,0,.5,1\n2,x,2,.25,0\n3,y,1,.5,0\n4,y,3,.125,1\n",
        "My data\nsample;time;a;b\nx;0;0,5;1\nx;2;0,25;0\ny;1;0,5;0\ny;3;0,125;1\n",
    ],
)
def test_a_long_table_has_columns_in_any_order_and_case(written, text):
    course = read_course(written(text))
    assert content(course) == ROWS
    assert course.var_names.tolist() == ["a", "b"]
    assert "a row per sample and time" in notes(course)
    assert "samples: 2, with 2 times each; genes: 2 (a, b)" in notes(course)


def test_rows_of_single_genes_are_refused(written):
    with pytest.raises(ValueError, match="a row per gene, named in column 'Gene'"):
        read_course(written("Gene,time,n\na,0,.5\nb,0,1\na,2,.25\nb,2,0\n"))
    with pytest.raises(ValueError, match="a row per gene, named in column 'Target Name'"):
        read_course(written("Target Name,time,Ct\na,0,.5\nb,0,1\na,2,.25\nb,2,0\n"))
    with pytest.warns(UserWarning, match="without a number.: assay"):
        read_course(written("assay,time,n\nx,0,.5\nx,2,1\n"))


def test_columns_may_have_other_names(written):
    text = "donor,Day,a,b\nx,0,.5,1\nx,2,.25,0\ny,1,.5,0\ny,3,.125,1\n"
    course = read_course(written(text), sample_key="Donor", time_key="day")
    assert content(course) == ROWS


def test_without_samples_all_rows_are_one_sample_if_all_times_differ(written):
    course = read_course(written("time,a,b\n2,.25,0\n0,.5,1\n"))
    assert list(content(course).values()) == [ROWS["x"]]
    assert "all rows are one sample" in notes(course)
    with pytest.raises(ValueError, match="no column of samples; set sample_key='donor'"):
        read_course(written("donor,time,a\nx,2,.25\ny,2,.5\nx,3,.1\ny,3,.2\n"))
    # a column whose rows have one time each names no samples
    text = "id,n,replicate,day,a\np,0,1,2,.25\nq,0,2,2,.5\nr,0,1,3,.1\ns,0,2,3,.2\n"
    with pytest.raises(ValueError, match="set time_key='day'\n.*set sample_key='replicate'$"):
        read_course(written(text))


@pytest.mark.parametrize(
    "text", ["time,a\n2,.25\n1,0\n2,.75\n", "sample,time,a\n,2,.25\n,1,0\n,2,.75\n"]
)
def test_rows_of_one_sample_at_one_time_are_averaged(written, text):
    course = read_course(written(text.replace("\n,", "\nx,")))
    assert list(content(course).values()) == [{1: [0], 2: [0.5]}]
    assert "averaged: 3 rows to 2" in notes(course)


def test_samples_with_one_time_are_left_out(written):
    text = "sample,time,a\nx,0,.5\ny,0,.5\nx,1,.25\n"
    with pytest.warns(UserWarning, match="only one time.: y"):
        assert content(read_course(written(text))) == {"x": {0: [0.5], 1: [0.25]}}


@pytest.mark.filterwarnings("ignore:.*names appear more than once and are numbered")
@pytest.mark.parametrize(
    ("names", "times", "samples"),
    [
        ("t0,t2h,t4h", [0, 2, 4], {"0"}),
        ("0h_rep1,30min_rep1,2h_rep1", [0, 0.5, 2], {"rep1"}),
        ("X0h.1,X1h.1,X2h.1", [0, 1, 2], {"1"}),
        ("ctrl_D0,ctrl_D3,ctrl_D10", [0, 3, 10], {"ctrl"}),
        ("-1h,0h,1h", [-1, 0, 1], {"0"}),
        ("a_-1h,a_0h,a - 1h", [-1, 0, 1], {"a"}),
        ("ZT0,ZT4,ZT8", [0, 4, 8], {"0"}),
        ("0_hours_a,24_hours_a,48_hours_a", [0, 24, 48], {"a"}),
        ("a (t=0),a (t=1),a (t=2)", [0, 1, 2], {"a"}),
    ],
)
def test_genes_may_be_in_rows_with_times_in_the_names_of_columns(written, names, times, samples):
    text = f"gene,about,{names}\na,first,.1,.2,.3\nb,second,.4,.5,.6\na,again,.3,.2,.1\n"
    course = read_course(written(text))
    assert course.obs["time"].tolist() == times
    assert set(course.obs["sample"]) == samples
    assert course.var_names.tolist() == ["a", "b", "a (2)"]
    assert_array_equal(course.X, [[0.1, 0.4, 0.3], [0.2, 0.5, 0.2], [0.3, 0.6, 0.1]])


@pytest.mark.parametrize(
    ("text", "n_genes"),
    [
        (",0h,30 min,1 d\nG0,.1,.2,.3\nG1,.4,.5,.6\n", 2),
        (",day_0,day_1,day_2\n1001,.1,.2,.3\n1003,.4,.5,.6\n", 2),
        ("Geneid,Length,0h,2h\nG0,900,.1,.2\n", 1),
        (",S1,S2,S3\ntime,0,30 min,1 d\nG0,.1,.2,.3\n", 1),
        (",G0,G1\n0h,.1,.2\n30 min,.3,.4\n1 d,.5,.6\n", 2),
        (",gene,0h,2h\n5,G0,.1,.2\n9,G1,.3,.4\n", 2),
    ],
)
def test_the_column_of_genes_or_times_may_have_no_name(written, text, n_genes):
    course = read_course(written(text))
    times = {"1 d": [0, 0.5, 24], "day_2": [0, 1, 2], "2h": [0, 2]}
    [expected] = [times[key] for key in times if key in text]
    assert course.obs["time"].tolist() == expected
    assert course.var_names.isin(["G0", "G1", "1001", "1003"]).tolist() == [True] * n_genes


def test_names_that_may_be_times_are_asked_about(written):
    path = written("gene,0,2,9\na,.1,.2,.3\n")
    with pytest.raises(ValueError, match="named 0, 2, 9; if these are times, set genes_in_rows"):
        read_course(path)
    assert read_course(path, genes_in_rows=True).obs["time"].tolist() == [0, 2, 9]
    path = written(",T0,T0.1,T2,T2.1\na,.1,.2,.3,.4\n")
    with pytest.raises(ReadingError, match="T0.1, T2.1 may be repeats or times") as caught:
        read_course(path)
    [(_, solved_by)] = caught.value.reading.problems
    course = read_course(path, **solved_by)
    assert content(course) == {"0": {0: [0.1], 2: [0.3]}, "rep1": {0: [0.2], 2: [0.4]}}
    assert not possible_repeats([f"T{i / 10:g}" for i in range(20)]), "times in even steps"
    assert not possible_repeats(["T0", "T0.5", "T1", "T1.25", "T4"]), "no numbers of repeats"
    assert not possible_repeats(["T0", "T0.1", "T1"]), "only one"


@pytest.mark.parametrize("names", ["d1_2h,d2_2h,d1_4h", "P1,P2,P3", "E9.5,P0,P7"])
def test_other_names_of_columns_need_a_table_of_times(written, names):
    with pytest.raises(ValueError, match="no column 'time'.*give the sample and the time"):
        read_course(written(f"gene,{names}\na,.1,.2,.3\nb,.4,.5,.6\n"))


@pytest.mark.parametrize(
    ("texts", "times"),
    [
        (["0 h", "2 h"], [0, 2]),
        (["day 1", "day 3"], [1, 3]),
        (["30 min", "2 h"], [0.5, 2]),
        (["E9.5", "E10.5"], [9.5, 10.5]),
        (["2,5 h", "10 h"], [2.5, 10]),
        (["-1 h", "2 h"], [-1, 2]),
        (["0", "2h"], [0, 2]),
        (["T1", "T2"], [1, 2]),
        (["1 day post infection", "3 days post infection"], [24, 72]),
    ],
)
def test_times_may_have_units(written, texts, times):
    course = read_course(written("time;a\n" + "".join(f"{text};.5\n" for text in texts)))
    assert course.obs["time"].tolist() == times


@pytest.mark.parametrize("texts", [["day-1", "day-3"], ["E18", "P0"], ["early", "late"]])
def test_unclear_times_are_refused(written, texts):
    with pytest.raises(ValueError, match="a unit such as 2 h in column time, got"):
        read_course(written("time,a\n" + "".join(f"{text},.5\n" for text in texts)))


def test_missing_values_are_left_out_with_the_gene_or_the_row(written):
    text = "time,a,b,c\n0,.5,,1\n1,.5,,.25\n2,.5,.5,0\n"
    with pytest.warns(UserWarning, match="genes with missing values.: b"):
        assert read_course(written(text)).var_names.tolist() == ["a", "c"]
    text = "time,a,b,c\n0,.5,1,1\n1,.5,0,0\n2,,1,\n3,0,1,0\n4,1,0,1\n"
    with pytest.warns(UserWarning, match="rows with missing values.: 0 at 2"):
        assert read_course(written(text)).obs["time"].tolist() == [0, 1, 3, 4]


def test_logarithms_are_taken_of_normalised_values(written):
    path = written("time,a,b\n0,70.5,3\n1,0,1.5\n")
    assert_allclose(read_course(path).X, np.log2([[71.5, 4], [1, 2.5]]))
    assert_array_equal(read_course(path, counts=False).X, [[70.5, 3], [0, 1.5]])


def test_columns_that_describe_rows_are_no_genes(written):
    text = "replicate,sample,time,a,n_reads,BATCH\n1,x,0,.5,70,1\n1,x,1,.25,80,2\n"
    with pytest.warns(UserWarning, match="not of genes.: replicate, n_reads, BATCH"):
        assert read_course(written(text)).var_names.tolist() == ["a"]


@pytest.mark.parametrize(("in_rows", "pseudotimes"), [(True, False), (False, True)])
@pytest.mark.filterwarnings("ignore:.*1 of 8 left out")
def test_cells_may_be_in_rows_or_columns(tmp_path, rng, in_rows, pseudotimes):
    cells = [f"c{i}" for i in range(8)]
    values = pd.DataFrame(rng.random((8, 3)).round(3), cells, ["a", "b", "c"])
    (values if in_rows else values.T).to_csv(tmp_path / "cells.csv")
    times = pd.DataFrame({"Time": np.arange(8.0)}, [*cells[1:], "c8"])
    if pseudotimes:  # as in BEELINE
        times.columns = ["PseudoTime1"]
        times["PseudoTime2"] = times["PseudoTime1"].where(times["PseudoTime1"] > 3)
    times.to_csv(tmp_path / "times.csv")
    course = read_course(tmp_path / "cells.csv", tmp_path / "times.csv", n_bins=2)
    if pseudotimes:
        assert_array_equal(course.X, read_pseudotime(values, times[:-1], 2).X)
        assert "pseudotimes of 2 trajectories" in notes(course)
    else:
        assert_array_equal(course.X, values[1:])
        assert course.obs["time"].tolist() == list(range(7))
    assert f"cells in the {'rows' if in_rows else 'columns'} of expression" in notes(course)
    left_out = {"cells only in expression": ["c0"], "cells only in times": ["c8"]}
    assert course.uns["sbnn"]["dropped"] == left_out


@pytest.fixture
def annotated(tmp_path, rng):
    """File of 40 cells with times, pseudotimes (one of them infinite) and patients."""
    obs = pd.DataFrame({"TIME": np.arange(40), "dpt": rng.random(40)})
    obs["patient"] = rng.choice(["p", "q"], 40)
    obs.loc[3, "dpt"] = np.inf
    data = ad.AnnData(rng.random((40, 3)), obs.rename("c{}".format))
    data.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


@pytest.mark.filterwarnings("ignore:.*cells without a time")
def test_an_anndata_file_has_times_or_pseudotimes(annotated):
    data = ad.read_h5ad(annotated)
    course = read_course(annotated, sample_key="patient")
    of_p = data.obs["patient"] == "p"
    assert_array_equal(course[course.obs["sample"] == "p"].X, data[of_p].X)
    course = read_course(annotated, time_key="dpt", n_bins=4)
    pseudotime = data.obs[["dpt"]].drop("c3")
    assert_allclose(course.X, read_pseudotime(data.to_df(), pseudotime, 4).X)
    assert course.uns["sbnn"]["dropped"] == {"cells without a time": ["c3"]}
    by_patient = read_course(annotated, time_key="dpt", sample_key="patient", n_bins=4)
    assert by_patient.obs["sample"].nunique() == 2


def test_the_command_read_writes_the_course(written, tmp_path, capsys):
    path = written("donor,time,a\nx,0,.5\nx,2,.25\n")
    options = ["--expression", str(path), "--sample-key", "donor"]
    assert cli.main(["read", "course", *options, "--out", str(tmp_path / "c.h5ad")]) == 0
    assert "samples: 1, with 2 times each" in capsys.readouterr().out
    assert content(read_course(tmp_path / "c.h5ad")) == {"x": {0: [0.5], 2: [0.25]}}


def test_a_saved_course_is_read_unchanged(written, tmp_path):
    course = read_course(written("time,a,b\n0,.5,60.5\n2,.25,0\n"), counts=False)
    course.write_h5ad(tmp_path / "course.h5ad")
    again = read_course(tmp_path / "course.h5ad")
    assert content(again) == content(course)


@pytest.mark.filterwarnings("ignore:prior. 1 of . genes are not in the course")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # edges may be repeated, and contrary signs cancel out
        ("regulator,target,sign\na,b,1\nb,c,-1\na,b,1\na,c,1\na,c,-1\n", [[1, 0], [0, -1]]),
        ("Target,REGULATOR\nb,a\n", [[1, 0], [0, 0]]),
        ("gene,c,b\nb,-2,0\na,0,2\n", [[2, 0], [0, -2]]),
        ("Gene1,Gene2,Type\na,b,+\na,c,-\nother,a,+\n", [[1, -1], [0, 0]]),
        ("TF,target,sign\na,b,activates\nb,c,Inhibition\n", [[1, 0], [0, -1]]),
        ("source,target,n,weight\na,b,3,1\nb,c,1,-1\n", [[1, 0], [0, -1]]),
        ("gene,a,b,other\na,0,1,1\nb,0,0,0\n", [[1, 0], [0, 0]]),
        (None, [[0, 0], [0, 0]]),
    ],
)
def test_edges_are_read_from_lists_and_tables(written, text, expected):
    found = read_prior(text and written(text), ["c", "a", "b"])
    assert found.loc[["a", "b"], ["b", "c"]].to_numpy().tolist() == expected
    assert not found.loc["c"].any()


def test_what_a_prior_lacks_gives_one_warning(written):
    path = written("regulator,target\na,b\nq,a\nr,b\n")
    with pytest.warns(UserWarning, match="2 of 4 genes are not in the course.*: q, r") as warned:
        read_prior(path, ["a", "b"])
    assert len(warned) == 1
    with pytest.warns(UserWarning, match="no column of signs among score; all edges"):
        read_prior(written("regulator,target,score\na,b,.7\nb,a,-.5\n"), ["a", "b"])
    with pytest.raises(ValueError, match="no edge joins two genes of the course"), pytest.warns():
        read_prior(written("regulator,target\na,b\nq,a\nr,b\n"), ["A", "B"])


@pytest.mark.parametrize("sign", ["7", "0.5", "binds", ""])
def test_other_signs_in_a_list_are_refused(written, sign):
    with pytest.raises(ValueError, match=f"prior: expected the signs .* got {sign or 'nan'} from"):
        read_prior(written(f"regulator,target,sign\na,b,1\nb,a,{sign}\n"), ["a", "b"])


def test_none_of_several_columns_that_look_like_times_is_suggested():
    table = pd.DataFrame({"gene": list("abc"), "day0": [1.0, 2, 3], "day1": 2.5, "wk1": 1.0})
    with pytest.raises(ValueError, match=r"no column 'time'.*time_key=\.\.\."):
        read_course(table)
