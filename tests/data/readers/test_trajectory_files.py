import numpy as np
import pandas as pd
import pytest

from sbnn.data.readers.trajectories import read_trajectories

FILE = "2,2,\n0.1,0.2,0.3\n1,2,-3\n0,2,5\n4,5,6\n7,8,9\n0,2,6\n"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text(FILE)
    return path


def test_the_layout_is_read(path):
    data = read_trajectories(path, ["A_input", "B"])
    np.testing.assert_array_equal(data.values, [[[0.1, 1], [0.2, 2], [0.3, -3]], [[4, 7], [5, 8], [6, 9]]])
    np.testing.assert_array_equal(data.times, [[0, 2, 5], [0, 2, 6]])
    assert data.gene_names.tolist() == ["A", "B"] and data.name == "two"


def test_names_may_come_from_a_table(path, tmp_path):
    pd.DataFrame({"x": ["YAL1", "YAL2"], "name": ["CLN3", "HTA2"]}).to_csv(tmp_path / "names.csv", index=False)
    assert read_trajectories(path, tmp_path / "names.csv").gene_names.tolist() == ["YAL1", "YAL2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("genes\n", "expected the numbers of genes and samples in the first line"),
        (FILE.replace("2,2,", "2,3,"), "expected 3 samples of 2 lines of values and one of times, got 6 lines"),
        (FILE.replace("1,2,-3", "1,2"), "as many numbers in every line"),
        (FILE.replace("1,2,-3", "1,2,x"), "as many numbers in every line"),
        (FILE.replace("0,2,6", "0,2,2"), "the time 2 repeats"),
        (FILE.replace("8", "nan"), "1 are NaN"),
    ],
)
def test_other_layouts_are_refused(path, text, message):
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_trajectories(path)


@pytest.mark.parametrize(
    ("name", "folder", "shape", "last"),
    [
        ("test_350_10_samples.csv", "grn_simulated", (10, 5, 350), 9),
        ("test_690_10_samples.csv", "grn_simulated", (10, 5, 690), 9),
        ("pramila_500genes_1sample_24T.csv", "yeast_pramila_2006", (1, 24, 500), 120),
        ("pramila_500genes_1VALsample_24T.csv", "yeast_pramila_2006", (1, 24, 500), 120),
        ("desmedt_500genes_1sample_178T.csv", "breast_desmedt_2007", (1, 178, 500), None),
        ("desmedt_500genes_1TESTsample_8middleT.csv", "breast_desmedt_2007", (1, 8, 500), 0.53571),
    ],
)
def test_the_published_files(real_file, name, folder, shape, last):
    data = read_trajectories(real_file(name, folder))
    assert data.values.shape == shape and (last is None or data.times[0, -1] == last)
