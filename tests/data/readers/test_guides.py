"""Targets of guides, for the names of guides in published and imagined libraries."""

import numpy as np
import pandas as pd
import pytest

from sbnn.data.readers.guides import likely_control, show_targets, targets_of

SEQUENCE = "GATTACAGATTACAGATTAC"

# guides -> targets in the same order; "=" is a guide that is its own target
LIBRARIES = {
    "underscores": ("GATA1_1 GATA1_2 MYC_1 NT_1", "GATA1 GATA1 MYC NT"),
    "letters": ("GATA1_A GATA1_B MYC_C", "GATA1 GATA1 MYC"),
    "words": ("A1_sg1 A1_g2 A1_sgRNA3 A1_gRNA4 A1_guide5 A1_guideA MYC", "A1 A1 A1 A1 A1 A1 ="),
    "sequences": (f"RELA_{SEQUENCE} RELA_1_{SEQUENCE} MYC_{SEQUENCE}", "RELA RELA MYC"),
    "a prefix, CROP-seq": (
        "Tcrlibrary_RELA_1 Tcrlibrary_RELA_2 Tcrlibrary_LAT_1 NT00698",
        "Tcrlibrary_RELA Tcrlibrary_RELA Tcrlibrary_LAT NT",
    ),
    "CRISPRi": (
        "ABCE1_+_9999.23-P1P2 ABCE1_-_9998.5-P1P2 HS2_+_1.0-all NT_00012",
        "ABCE1 ABCE1 HS2 NT",
    ),
    "two guides on a vector": (
        "A1BG_-_58.23-P1P2|A1BG_+_59.23-P1P2 NT_00012|NT_00345 MYC_1|RELA_1",
        "A1BG NT MYC|RELA",
    ),
    "only numbers": ("lib_1 lib_2 lib_3", "= = ="),
    "only numbers and the control": ("cluster_1 cluster_2 NT_1 NT_2", "= = NT NT"),
    "one gene": ("STAT1_1 STAT1_2 NT", "STAT1 STAT1 NT"),
    "hyphens": (
        "lib_GATA1-A lib_GATA1-B lib_MYC-A lib_MYC-B",
        "lib_GATA1 lib_GATA1 lib_MYC lib_MYC",
    ),
    "dots": ("GATA1.1 GATA1.2 HS2.1 HS2.2 NT.9", "GATA1 GATA1 HS2 HS2 NT"),
    "words after a hyphen": ("A1-sg1 A1-sg2 MYC-sg1 NT-sg7", "A1 A1 MYC NT"),
    "Perturb-seq": ("IFNGR1g1 IFNGR1g2 MYCg2 NTg10 NTg2", "IFNGR1 IFNGR1 MYC NT NT"),
    "Perturb-seq with a gap": ("IFNGR1g1 IFNGR1g3 MYCsg2 GFP NTg1", "IFNGR1 IFNGR1 MYC = NT"),
    "numbers from 0": ("HS2-0 HS2-1 MYC-0 MYC-1", "HS2 HS2 MYC MYC"),
    "10x": ("RAB1A-2 NT-1", "= NT"),
    "10x, measured": ("STAT1-2 MYC-1 NT-1", "STAT1 MYC NT"),
    "HLA genes": ("HLA-A HLA-B HLA-C NT_1", "= = = NT"),
    "measured HLA genes among numbers": ("HLA-A HLA-B MYC-A MYC-B", "= = = ="),
    "guides of HLA genes, hyphens": ("HLA-A-1 HLA-A-2 HLA-B-1", "HLA-A HLA-A HLA-B"),
    "NKX genes": ("NKX2-1 NKX2-5 NT", "= = NT"),
    "NKX genes with a gap": ("NKX2-1 NKX2-5 NKX3-1 NKX3-2", "= = = ="),
    "clones": ("AC012345.1 AC012345.2 GATA1", "= = ="),
    "measured genes with underscores": ("T_1 T_2 MYC_1 MYC_2", "= T MYC MYC"),
    "genes and numbers": ("STAT1 STAT2 WT1 IL2 CD86", "= = = = ="),
    "small letters before g": ("Atg5 Atg7 Lag3 Tcrg1", "= = = ="),
    "combinations": ("KLF1+BAK1 KLF1+ctrl AHR_NegCtrl0", "= = ="),
    "two forms": ("GATA1-1 GATA1-2 MYC.1 MYC.2", "= = = ="),
    "case of the control": ("nt Nt_2 GATA1_1 MYC_1", "NT NT GATA1 MYC"),
    "numbers that start at 2": ("GATA1-2 GATA1-3 MYC-1 MYC-2", "= = = ="),
}
GENES = ["STAT1", "MYC", "HLA-A", "HLA-B", "HLA-C", "GATA1", "T_1"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_guides_have_the_targets_of_their_library(library):
    guides, expected = (text.split() for text in LIBRARIES[library])
    table = targets_of(guides, GENES, "NT")
    assert table["guide"].tolist() == guides
    expected = np.where(np.array(expected) == "=", guides, expected)
    assert table["target"].tolist() == expected.tolist()


def test_one_guide_can_be_the_control_and_a_gene_cannot():
    table = targets_of(["NT_1", "NT_2", "A_1", "A_2"], control="NT_1")
    assert table["target"].tolist() == ["NT_1", "NT", "A", "A"]
    table = targets_of(["wt", "WT-1", "A-1"], ["WT-1"], control="wt")
    assert table["target"].tolist() == ["wt", "WT-1", "A-1"]
    assert targets_of(["WT1", "WT"], control="WT")["target"].tolist() == ["WT1", "WT"]


def test_a_repeated_symbol_that_is_numbered_is_no_gene():
    guides = ["MATR3-1", "MATR3-2", "MYC-1", "MYC-2"]
    table = targets_of(guides, ["MATR3", "MATR3-1", "MYC"])
    assert table["target"].tolist() == ["MATR3", "MATR3", "MYC", "MYC"]


def test_given_targets_replace_the_names():
    given = pd.DataFrame({"guide": ["A_1", "A_2", "B"], "target": ["x", "y", "x"]})
    assert targets_of(["A_2", "A_1", "A_2"], given=given)["target"].tolist() == ["y", "x"]
    with pytest.raises(ValueError, match="targets: no target of the guides C_1$"):
        targets_of(["C_1", "A_1"], given=given)
    with pytest.raises(ValueError, match="more than one target of the guides B$"):
        targets_of(["B"], given=pd.concat([given, given.assign(target="z").tail(1)]))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["GATA1_1", "non-targeting_00012", "AAVS1_1"], "non-targeting"),
        (["NON_TARGET-1", "RAB1A-2"], "NON_TARGET"),
        (["IFNGR1g1", "NTg7"], "NT"),
        (["lib_NTC-A", "lib_MYC-A"], "lib_NTC"),
        (["CTRL00698", "LAT_1"], "CTRL"),
        (["safe-targeting_7", "MYC"], "safe-targeting"),
        (["MYC", "AAVS1"], "AAVS1"),
        (["neg1", "NEGR1"], "neg1"),
        (["GATA1+ctrl", "ctrl+ctrl", "GATA1+MYC"], "ctrl+ctrl"),  # combinations of guides
        (["scrambled", "SCRIB"], "scrambled"),
        (["Empty vector", "MYC"], "Empty vector"),
        (["intergenic_3", "MYC"], "intergenic"),
        (["NT5E", "NTF3", "SAFB", "SCRIB", "NEGR1", "CTRC", "CONTACTIN"], None),
    ],
)
def test_a_likely_control_is_suggested(names, expected):
    assert likely_control(names) == expected


def test_targets_are_shown_with_their_guides():
    table = targets_of(["A_1", "B", "A_2", "C", "NT_1"], control="NT")
    shown = "A: A_1, A_2\nNT: NT_1\nlabels that are their own target: B, C"
    assert show_targets(table) == shown
