from files import published, put

from sbnn import cli
from sbnn.data import inventory
from sbnn.data.datasets import DATASETS
from sbnn.data.sources import FILES


def test_command_gets_and_lists(small_scala, capsys):
    folder = small_scala[0]
    assert inventory.main(["get", "scala", "--path", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert all(f"{folder / 'tiny' / name}  sha256 {FILES[name].sha256}" in printed for name in DATASETS["scala"].files)
    assert inventory.main(["list", "--path", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == list(DATASETS)
    assert lines[0].endswith("features [here]") and lines[-1].endswith("[made here]")


def test_command_checks(small_scala, capsys):
    folder = small_scala[0]
    assert inventory.main(["check", "scala", "--path", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", name] for name in DATASETS["scala"].files]
    put(folder / "tiny" / "ephys_values.csv", b"broken")
    assert inventory.main(["check", "--path", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["ok", "corrupt"] and "is truncated: expected" in lines[1]
    assert len(lines) == len(FILES)
    assert inventory.main(["check", "simulated", "--path", str(folder)]) == 0, "which is made of no files"
    assert capsys.readouterr().out == ""


def test_command_fails_with_a_message(alone, monkeypatch, capsys):
    published(monkeypatch)
    assert inventory.main(["get", "tiny.csv"]) == 1
    assert "cannot find tiny/tiny.csv" in capsys.readouterr().err
    for command in ("get", "check"):
        assert inventory.main([command, "scalla"]) == 1
        assert "unknown name(s) ['scalla']; the data sets are scala, " in capsys.readouterr().err


def test_states_of_data_sets_and_files(small_scala, monkeypatch):
    folder = small_scala[0]
    states = {dataset.name: dataset for dataset in inventory.list_datasets(folder)}
    assert states["scala"].state == "here" and states["scala"].missing == ()
    assert states["simulated"].state == "made here"
    assert states["gouwens"].state == "downloadable" and states["gouwens"].missing == DATASETS["gouwens"].files
    (folder / "tiny" / "gene_counts.csv").unlink()  # registered without an address here
    states = {dataset.name: dataset for dataset in inventory.list_datasets(folder)}
    assert states["scala"].state == "to be fetched by hand" and states["scala"].missing == ("gene_counts.csv",)
    files = {file.name: file for file in inventory.check_files(["scala"], folder)}
    assert files["gene_counts.csv"] == ("gene_counts.csv", "absent", None, "")
    assert files["ephys_values.csv"].state == "ok"
    assert list(inventory.get_files(["ephys_values.csv", "simulated"], folder)) == ["ephys_values.csv"]


def test_the_command_lists_the_data_sets(capsys):
    assert cli.main(["data", "list"]) == 0
    assert capsys.readouterr().out.startswith("scala: ")
