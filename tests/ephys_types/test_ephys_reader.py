"""Layout of the published features of mouse cells, from small files of the same form."""

import pytest
from material.layouts import MOUSE, mouse_features

from sbnn.ephys_types.reader import read_gouwens_ephys

MOUSE_LABELS = """,type,type5,subclass,t_type,met_type,area,layer,cre,age_days,donor
73,SST,SST,Sst,Sst Chodl,Sst-1,VISl,,Vip;Flp,,4
70,VIP,SNCG,Sncg,Sncg Gpr50,,VISp,2/3,Sst,60.0,3
"""


@pytest.fixture(params=[False, True], ids=["absolute", "relative"])
def mouse(request, tmp_path):
    """The cells of `MOUSE`, by the session in the name of their file."""
    mouse_features().to_csv(tmp_path / "features.csv", index=False)
    (tmp_path / "metadata.csv").write_text(MOUSE)
    return read_gouwens_ephys(
        tmp_path / "features.csv", tmp_path / "metadata.csv", relative=request.param
    )


def test_labels_of_mouse_cells_are_found_by_their_session(mouse):
    header = MOUSE_LABELS.split("\n")[0]
    columns = header.split(",")[1:]
    assert mouse.obs[columns].to_csv() == MOUSE_LABELS


def test_only_relative_features_have_lags(mouse, request):
    is_relative = "relative" in request.node.callspec.id
    assert ("peak_lag_ramp" in mouse.var_names) == is_relative


def test_mouse_cells_that_are_left_out_are_named(mouse):
    assert list(mouse.uns["sbnn"]["dropped"].values()) == [["72"], ["74"], ["71"]]
