"""Every published file that the data sets are made of: its name, its checksum and the address that serves it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DataFile:
    """A published file.

    Attributes
    ----------
    name, folder : str
        File name, and the folder that holds it in a data place.
    source : str
        Public page where a person finds it.
    size : int, optional
        Bytes.
    sha256 : str, optional
        Hexadecimal sha256 of the content.
    git_sha1 : str, optional
        Git blob id, for a file of which no sha256 has been published.
    url : str, optional
        Address that serves exactly this version; ``None`` where no stable one is known.
    """

    name: str
    folder: str
    source: str
    size: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None
    url: str | None = None


def _at_commit(repository: str, commit: str, path: str) -> str:
    return f"https://raw.githubusercontent.com/{repository}/{commit}/{path}"


def _by_content(repository: str, git_sha1: str) -> str:
    """Address of a file by its git blob id, which needs no commit and can serve no other content."""
    return f"https://api.github.com/repos/{repository}/git/blobs/{git_sha1}"


_SBNN = "berenslab/sBNN"
_MINI_ATLAS = "berenslab/mini-atlas"
_COUPLED = "AllenInstitute/coupledAE-patchseq"
_CITESEQ = "databio/bds_hackathon"
_SCVI = "scverse/scvi-tools"
_HUMAN_GABA = "AllenInstitute/human_patchseq_gaba"
_HUMAN_L1 = "AllenInstitute/patchseq_human_L1"
_TRANSFER = "tschwider09/cross-species-ephys-transfer"
_SCMNC = "daifengwanglab/scMNC"
_SBNN_PAGE = "https://github.com/berenslab/sBNN (folder data/{})"
_SCALA_PAGE = _SBNN_PAGE.format("scala_2020")
_STOECKIUS_PAGE = _SBNN_PAGE.format("stoeckius_2017") + "; the same data: GEO GSE100866"
_MINI_ATLAS_PAGE = "https://github.com/berenslab/mini-atlas (folder data)"
_COUPLED_PAGE = "https://github.com/AllenInstitute/coupledAE-patchseq (folder data/proc)"
_CITESEQ_PAGE = "https://github.com/databio/bds_hackathon (folder data/raw); the same data: GEO GSE100866"
_SCVI_PAGE = "https://github.com/scverse/scvi-tools (folder tests/test_data)"
_HUMAN_GABA_PAGE = "https://github.com/AllenInstitute/human_patchseq_gaba (folder data)"
_SCEPTRE_PAGE = (
    "https://github.com/Katsevich-Lab/sceptredata (data/lowmoi_example_data.rda, of which this is a conversion); "
    "the whole experiment: GEO GSE153056"
)
_SELECTED = "febbc1325dd42fd183df5e2f886615759145f1ff"
_FULL_COUNTS = "624df4e108ce636bb53cae1d44a32252c85bffa6"
_GOUWENS_MAT = "6270922577fca6005225df719c4358b7c80ca01b"
_CBMC_RNA = "fce7a8feaf55c75cefb88af72cc920bc192a5e18"

#: Every file that can be found by name.
FILES: dict[str, DataFile] = {
    file.name: file
    for file in (
        DataFile(
            "gene_counts.csv",
            "scala_2020",
            _SCALA_PAGE,
            size=3669834,
            sha256="1cbaac7273f868c13e3ab15a12b32c5fd2ad23e88e11e6776d2bc18ce3d65eaa",
            url=_at_commit(_SBNN, _SELECTED, "data/scala_2020/gene_counts.csv"),
        ),
        DataFile(
            "ephys_values.csv",
            "scala_2020",
            _SCALA_PAGE,
            size=354418,
            sha256="026f8624f3bb0921c32a02ae23b4c7e7979f9819debea1d1c80e646c157e07d1",
            url=_at_commit(_SBNN, _SELECTED, "data/scala_2020/ephys_values.csv"),
        ),
        DataFile(
            "mini-atlas-meta-data.csv",
            "scala_2020",
            _SCALA_PAGE,
            size=308469,
            sha256="f51e524992eb1f30e249797fe65e30655dbad0a11563df7c0d10f179ad64557f",
            url=_at_commit(_SBNN, "c890e6e4569f4f050e1b7c19a9a8d9827d2123f9", "M1Data/mini-atlas-meta-data.csv"),
        ),
        DataFile(
            "Cell_Features_M1.csv",
            "scala_2020",
            _SCALA_PAGE,
            size=623621,
            sha256="2a38427e4c80f62768974809d0a41bc82fa419c67838f330be772427766f4c9c",
            url=_by_content(_SBNN, "fa488fb18a312d57eba29d272bb554ee301a84e3"),
        ),
        DataFile(
            "final_patch_seq_allcells_exon_allreads.zip",
            "scala_2020",
            _SCALA_PAGE + "; the same counts: GEO GSE163764",
            git_sha1=_FULL_COUNTS,
            url=_by_content(_SBNN, _FULL_COUNTS),
        ),
        DataFile(
            "go_ion_channel_term_summary.txt",
            "scala_2020",
            "https://github.com/berenslab/sBNN (data/GO_term_summary_20211104_075621.txt)",
            size=300517,
            sha256="8e87e8d840486be006e35f8b9f48d4cb89c458066ff4fde58e0b70589e50e7c4",
            url=_at_commit(
                _SBNN, "dbe038042f6e16c4a5b36bcd0e35ad67e5384d15", "data/GO_term_summary_20211104_075621.txt"
            ),
        ),
        DataFile(
            "m1_patchseq_phys_temp_exon_counts.csv.gz",
            "scala_2020_physiological",
            _MINI_ATLAS_PAGE,
            size=2622352,
            sha256="7a00653c748657f028332edd43f07e33a62a79e6026a73651deac5cf414618f4",
            url=_at_commit(
                _MINI_ATLAS,
                "57d0274b01a4c930ecd32d567d05bcaa5928501b",
                "data/m1_patchseq_phys_temp_exon_counts.csv.gz",
            ),
        ),
        DataFile(
            "m1_patchseq_phys_temp_meta_data.csv",
            "scala_2020_physiological",
            _MINI_ATLAS_PAGE,
            size=58093,
            sha256="c351cafebe561db6e349b6805717632766849a1bfe0d038f85ccf9b11e4a8f92",
            url=_at_commit(
                _MINI_ATLAS, "2d4acde6e1eb315a345d1fb5346b8d318adc7f84", "data/m1_patchseq_phys_temp_meta_data.csv"
            ),
        ),
        DataFile(
            "PS_v5_beta_0-4_pc_scaled_ipfx_eqTE.mat",
            "gouwens_2020",
            _COUPLED_PAGE,
            git_sha1=_GOUWENS_MAT,
            url=_by_content(_COUPLED, _GOUWENS_MAT),
        ),
        DataFile(
            "E_names.json",
            "gouwens_2020",
            _SBNN_PAGE.format("gouwens_2020"),
            size=3036,
            sha256="b9d7756174e7c2a841033ad73bbb629426999aa526d71c34b651a6ce8722c33d",
            url=_by_content(_SBNN, "d4132a4eac80ac23a36990c798461e083c6beba9"),
        ),
        DataFile(
            "ipfx_features.csv",
            "gouwens_2020",
            "https://github.com/daifengwanglab/scMNC (mouse_visual_cortex/data/efeature.csv); recordings: DANDI 000020",
            size=2947849,
            sha256="53cddf3f2edc38ccda2f3156c686f8d97c0f6010b3db7b2cbb2a3fe2232f82f8",
            url=_by_content(_SCMNC, "94256848cad20d375004084ddc1fd966c8da4713"),
        ),
        DataFile(
            "20200711_patchseq_metadata_mouse.csv",
            "gouwens_2020",
            "https://github.com/tschwider09/cross-species-ephys-transfer (the same table: Allen Institute, Patch-seq)",
            size=1090180,
            sha256="f29b5687dbe6dae5a47f9f3d9b7def77d30495c7c013ca82ab88ff785b8977fd",
            url=_at_commit(
                _TRANSFER, "1fdafb535f050b9831d2f29324a2c5957e6668f4", "20200711_patchseq_metadata_mouse.csv"
            ),
        ),
        DataFile(
            "LeeDalley_ephys_fx.csv",
            "lee_2023_human",
            _HUMAN_GABA_PAGE,
            size=651645,
            sha256="1ec12b02ba41288d69cdac21d6ac1efa05ff819fd6e052dd48666500e23ced9b",
            url=_at_commit(_HUMAN_GABA, "fa0628f33c3bac73ae4da0df8b30f8f785d8acdb", "data/LeeDalley_ephys_fx.csv"),
        ),
        DataFile(
            "LeeDalley_manuscript_metadata.csv",
            "lee_2023_human",
            _HUMAN_GABA_PAGE,
            size=145956,
            sha256="5ee627f22cdaf2ddcc013ceb0c01a229913a6a48af45dccce940f00510d3b3f0",
            url=_at_commit(
                _HUMAN_GABA, "27da71d3bd1e8eef001526fb15f93e27b02af567", "data/LeeDalley_manuscript_metadata.csv"
            ),
        ),
        DataFile(
            "mouse_cells_with_lee_style_features.csv",
            "lee_2023_human",
            "https://github.com/AllenInstitute/patchseq_human_L1 (data/aibs_mouse_features_E.csv)",
            size=1008150,
            sha256="8d6205e336ed6fc428d5fe9488940335f6932a11b2f49d31974de283e1f172e3",
            url=_at_commit(_HUMAN_L1, "cb5d5bcc2ad71bf8dbf918975d93e5887383dcd6", "data/aibs_mouse_features_E.csv"),
        ),
        DataFile(
            "GSE100866_CBMC_8K_13AB_10X-RNA_umi.zip",
            "stoeckius_2017",
            _STOECKIUS_PAGE,
            git_sha1=_CBMC_RNA,
            url=_by_content(_SBNN, _CBMC_RNA),
        ),
        DataFile(
            "GSE100866_CBMC_8K_13AB_10X-ADT_umi.csv",
            "stoeckius_2017",
            _STOECKIUS_PAGE,
            size=529385,
            sha256="c4719a83fbfc7f5a945bde361c340d02fde5f0c0adf32b4ad8c2558a0c650b30",
            url=_by_content(_SBNN, "c45fd30358adec35a59416fad7b181be586c221b"),
        ),
        DataFile(
            "CBMC_clustering.csv",
            "stoeckius_2017",
            _STOECKIUS_PAGE,
            size=519930,
            sha256="732b003c36ca0e265eb41a25adf1cc9169650a5e230aeefe599289f41c0ee565",
            url=_at_commit(
                _SBNN, "d2bb556d3260928592f97847c3d1a2856359926a", "data/stoeckius_2017/CBMC_clustering.csv"
            ),
        ),
        DataFile(
            "GSE100866_CD8_merged-RNA_umi.csv.gz",
            "citeseq",
            _CITESEQ_PAGE,
            size=1432506,
            sha256="a73997dc153595c9aaaa6891c5739220556dc0950039dbd5695aeb2d9723577e",
            url=_at_commit(
                _CITESEQ,
                "ae0834b212f8a305d2afe88e936a0fa1fb4b42b5",
                "data/raw/GSE100866_CD8_merged-RNA_umi.csv.gz",
            ),
        ),
        DataFile(
            "GSE100866_CD8_merged-ADT_umi.csv.gz",
            "citeseq",
            _CITESEQ_PAGE,
            size=19788,
            sha256="c05828358aab2b5bf8cc7f824814a0a1e108b8cb94ba5e0d44f067e51e5a85fd",
            url=_by_content(_CITESEQ, "23335f07837290071f107476e0908840b3fbd2dd"),
        ),
        DataFile(
            "pbmc_5k_protein_v3.h5ad",
            "citeseq",
            _SCVI_PAGE,
            size=2302990,
            sha256="83f2c7d175600acf458d839920ce52448beeab66557a76d8b0312c91102a3326",
            url=_at_commit(
                _SCVI, "a273dd0b84d3d83dc0d218cfb767880701c885ea", "tests/test_data/pbmc_5k_protein_v3.h5ad"
            ),
        ),
        DataFile(
            "pbmc_10k_protein_v3.h5ad",
            "citeseq",
            _SCVI_PAGE,
            size=2064068,
            sha256="512fe360bd1cc79821f67959cc47e19b92bb7edbbb9351da5d1e9d70b35102a2",
            url=_by_content(_SCVI, "301f52dadbf24cca996ae8fc95cc23184fa87519"),
        ),
        DataFile(
            "response_cells_x_genes.npz",
            "papalexi_2021",
            _SCEPTRE_PAGE,
            size=1914469,
            sha256="266864bc2f68e44340fe12d0aae0dfacdb49485a9a2e354aea7317861b6927d3",
        ),
        DataFile(
            "genes.txt",
            "papalexi_2021",
            _SCEPTRE_PAGE,
            size=2160,
            sha256="90f2b880ecfde1825567c758c24d698ca351935f9e7f54e8c340bd21634b601b",
        ),
        DataFile(
            "cells.csv.gz",
            "papalexi_2021",
            _SCEPTRE_PAGE,
            size=185814,
            sha256="15ed8320aa66f9a1cc1d6755f839a3b0f2d7db177b60b1914b539eb57233395d",
        ),
    )
}
