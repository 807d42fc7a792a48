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
_PHOENIX_PAGE = "https://github.com/QuackenbushLab/phoenix{}"
_DASH_PAGE = "https://github.com/QuackenbushLab/DASH{}"
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
        DataFile(
            "desmedt_500genes_1TESTsample_8middleT.csv",
            "breast_desmedt_2007",
            _PHOENIX_PAGE.format(""),
            size=42291,
            sha256="9ca10806a4ea47377fe3d0e1aa84fea1025370ff8ac3a57c73f2f0bb2dfd3716",
        ),
        DataFile(
            "desmedt_500genes_1sample_178T.csv",
            "breast_desmedt_2007",
            _PHOENIX_PAGE.format(""),
            size=941849,
            sha256="ef57fae33b4f0f35f224951da6fd6cfe92cc0df27959421ca15c64a345eb85b4",
        ),
        DataFile(
            "desmedt_gene_names_500.csv",
            "breast_desmedt_2007",
            _PHOENIX_PAGE.format(""),
            size=3348,
            sha256="e34fda8ad1f75601b66197782efae75175b794e77ae293950023a890ef1e67d3",
        ),
        DataFile(
            "edge_prior_matrix_desmedt_500.csv",
            "breast_desmedt_2007",
            _PHOENIX_PAGE.format(""),
            size=519327,
            sha256="23db7abe42db29cde18b770a003fc537aa1916a67c320f2da4e357f27a40e6a3",
        ),
        DataFile(
            "validation_network.csv",
            "breast_desmedt_2007",
            _PHOENIX_PAGE.format(""),
            size=3595813,
            sha256="156f3aeebb603172aad959e32e3804c5bd9744046440a2750f763ac220f9e9b6",
        ),
        DataFile(
            "edges_350.csv",
            "grn_simulated",
            _PHOENIX_PAGE.format(" (Hill exponents corrected)"),
            size=30389,
            sha256="22b455f0f5643439a5e2a3805ec92f1288085bc2d53bac2e3e34dea014ccc339",
        ),
        DataFile(
            "edges_690.csv",
            "grn_simulated",
            _DASH_PAGE.format(""),
            size=45908,
            sha256="e79085427d30a8f29d27bf8dad50a35a966ce2599b1adcfb2f80071ce60af1f9",
        ),
        DataFile(
            "gene_names_350.csv",
            "grn_simulated",
            _PHOENIX_PAGE.format(" (order corrected)"),
            size=2331,
            sha256="2a44e6d5efdbfe1fa64afe06b3f21b41f55142ff47075d395200da771e256174",
        ),
        DataFile(
            "gene_names_690.csv",
            "grn_simulated",
            _DASH_PAGE.format(""),
            size=5762,
            sha256="a8a53dac0cc2f487a1b684738ff9dc14e6352d922f4dcdc5ad36a7593e772e69",
        ),
        DataFile(
            "prior_350_noise_0.0.csv",
            "grn_simulated",
            _DASH_PAGE.format(""),
            size=245176,
            sha256="201911f021dc3d8beba08462f5c0a6fd4cf10749a44527ef6efd76175b7992a5",
        ),
        DataFile(
            "prior_350_noise_0.025.csv",
            "grn_simulated",
            _DASH_PAGE.format(""),
            size=245176,
            sha256="e2e00d4cd0c8300206b8e00a78a72eb4007213e93796b9b1657f18d98fe293c1",
        ),
        DataFile(
            "prior_350_noise_0.05.csv",
            "grn_simulated",
            _DASH_PAGE.format(""),
            size=245176,
            sha256="d765d140590e425e684a920f648f7cea94429b185a9e8e343661b426476db731",
        ),
        DataFile(
            "prior_350_noise_0.1.csv",
            "grn_simulated",
            _DASH_PAGE.format(""),
            size=245176,
            sha256="76b6b303edd9d37118b144646497a440b98a264acacad10923d40b968d792aba",
        ),
        DataFile(
            "prior_690_noise_0.0.csv",
            "grn_simulated",
            _DASH_PAGE.format(""),
            size=952422,
            sha256="0684623f489e09b7bcba27316d0b29b4ba2a8ab21905762185327a2d8e83dc34",
        ),
        DataFile(
            "prior_690_noise_0.05.csv",
            "grn_simulated",
            _DASH_PAGE.format(""),
            size=952422,
            sha256="9eb59a00c5f0a661bfaa813508af389550aee0b8a0e7480863cf24d538f30a88",
        ),
        DataFile(
            "rate_equations_350.csv",
            "grn_simulated",
            _PHOENIX_PAGE.format(" (derived: three missing edges restored, Hill exponents corrected)"),
            size=63615,
            sha256="623a4e38c2132a4493168adb995b471997a2c43b7a797363d6208d2f7a5ea9ff",
        ),
        DataFile(
            "rate_equations_690.csv",
            "grn_simulated",
            _DASH_PAGE.format(""),
            size=107802,
            sha256="3f102aff16fe896e4e5e148a5f67284ebed81e31aaba23bfde09dd78dd039bab",
        ),
        DataFile(
            "test_350_10_samples.csv",
            "grn_simulated",
            _DASH_PAGE.format(""),
            size=311302,
            sha256="0ad66fe786fb2fb22c20dc13fbe21d3c9e388a8ef2928c760a6925ea5429cbaa",
        ),
        DataFile(
            "test_690_10_samples.csv",
            "grn_simulated",
            _DASH_PAGE.format(""),
            size=614213,
            sha256="30b6d968e89f5d9f56ecb2db85251dcf6bf1e3a0682f1df4d1f25525af61dc74",
        ),
        DataFile(
            "edge_prior_matrix_pramila_500.csv",
            "yeast_pramila_2006",
            _PHOENIX_PAGE.format(""),
            size=502904,
            sha256="5af9a2440b80650416487d3d862d9bc7096434fa5e95fa03bff45205a7c93495",
        ),
        DataFile(
            "motif_prior.csv",
            "yeast_pramila_2006",
            _PHOENIX_PAGE.format(""),
            size=1457710,
            sha256="886510a34df138f61c21f02c0140bee6765adea67029b0db854c35b64832cf21",
        ),
        DataFile(
            "pramila500_gene_names.csv",
            "yeast_pramila_2006",
            _PHOENIX_PAGE.format(""),
            size=8960,
            sha256="7b70731d674b17d47e5e65871fc261a68107fb0b5a35911d78528ea3963ce9a0",
        ),
        DataFile(
            "pramila_500genes_1VALsample_24T.csv",
            "yeast_pramila_2006",
            _PHOENIX_PAGE.format(""),
            size=112768,
            sha256="bd3ceda85a7ec66b1366f6615e619e4831288aeea5f7f7ae1aed39a503d8be90",
        ),
        DataFile(
            "pramila_500genes_1sample_24T.csv",
            "yeast_pramila_2006",
            _PHOENIX_PAGE.format(""),
            size=112718,
            sha256="8f5a83069a3274d01b8f73a1e0243b6ebe051dede0114787fb831e30833de41c",
        ),
    )
}
