"""Small made-up tables in the layouts of published files."""

import io

import numpy as np
import pandas as pd

from sbnn.data.readers import gouwens
from sbnn.ephys_types.features import HUMAN_RELEASE, MOUSE_RELEASE, release_features

# of five mouse cells, one has no type, one a rare type and one no feature; the last is not measured
MOUSE = """ephys_session_id,cell_specimen_id,T-type Label,MET-type Label,structure,age,full_genotype,donor_id 
10,70.0,Sncg Gpr50 ,NULL,VISp2/3,P60,Sst/wt;Ai14(RCL-tdT)/wt,3
11,71.0,Vip Igfbp6,a,VISp5,P61,,3
12,72.0,,b,VISl,P62,a,3
13,73.0,Sst Chodl,Sst-1,VISl,unknown,Ai1/wt;Vip/wt; Flp/wt,4
14,74.0,Meis2 A,c,x,P7,,3
19,79.0,Vip Igfbp6,a,VISp5,P7,,3
"""  # noqa: E501, W291
# of five human cells, one has no type and one no feature; the last is not measured
HUMAN = """specimen_id,Donor,Transcriptomic_type ,Revised_subclass_label,condition,Virus,Cortical_layer
50,H1,Inh A,VIP,acute,,3
51,H1,Inh B,SST,culture,CN1,
52,H2,,,acute,,2_3
53,H2,Inh C,LAMP5/PAX6/Other,culture,,1
54,H3,Inh D,PVALB,acute,,6
59,H3,Inh D,SST,acute,,6
"""  # noqa: E501
#: Of the motor cortex; the last cell is in no other table.
MOTOR_CORTEX = """Cell\tMouse\tTargeted layer\tRNA family\tRNA type\tSoma depth (µm)
20180918_sample_0\tA\t2/3\tSst\tSst Penk\t700.5
20180918_sample_1\tB\t5\tET\tL5 ET_1\tSlice Lost
20180918_sample_2\tA\t2/3\tlow quality\tlow quality\t
20180918_sample_3\tC\t6\tPvalb\tPvalb Vipr2_1\t500
20180918_sample_9\tC\t6\tVip\tVip Chat_1\t50
"""
#: The same of six cells, all of which have values; the last cell has none.
SIX_OF_MOTOR_CORTEX = """Cell\tMouse\tTargeted layer\tRNA family\tRNA type\tSoma depth (µm)
20180918_sample_5\tA\t2/3\tSst\tSst Penk\t700.5
20180918_sample_3\tA\t2/3\tSst\tSst Penk\t700.5
20180918_sample_4\tA\t2/3\tSst\tSst Penk\t700.5
20180918_sample_0\tA\t2/3\tPT\tL5 PT_1\t700.5
20180918_sample_1\tA\t2/3\tPT\tL5 ET_1\t700.5
20180918_sample_2\tA\t2/3\tPT\tL5 PT_2\t700.5
20180918_sample_9\tA\t2/3\tlow quality\t\tSlice Lost
"""
#: Of trajectories: three genes in one sample and in two, and their networks.
TRAJECTORIES = {
    "train": "3,1\n1,2,0,4\n0,0,0,0\n5,-8,7,6\n0,1,2,3\n",
    "test": '"3","2",\n4,2\n1,3\n1,1\n0,1\n0.1,0.2,0.3\n1,2,-3\n0,0,0\n0,2,5\n',
    "names": "gene\na_input\nb\nc\n",
    "prior": "0,0.5,0\n0,0,-0.5\n0,0,0\n",
    "edges": "from,to\nb,a\nb,a\nb,x\nx,a\nc,c\n",
    "interactions": "1,1,1\n4,2,.5\n4,3,.2\n2,1,.7\n",
    "proteins": "gene\nc\na\nx\nb\n",
    "equations": 'node,eqn\na,input gene\nb,input gene\nc,"fAct(a, 0.5, 1.5) - c"\n',
}
#: The same with genes in the order c, a, b, and other lines and columns in another order.
TURNED_TRAJECTORIES = {
    "train": "3,1\n5,-8,7,6\n1,2,0,4\n0,0,0,0\n0,1,2,3\n",
    "test": '"3","2",\n1,1\n4,2\n1,3\n0,1\n0,0,0\n0.1,0.2,0.3\n1,2,-3\n0,2,5\n',
    "names": "gene\nc\na_input\nb\n",
    "prior": "0,0,0\n0,0,0.5\n-0.5,0,0\n",
    "edges": "to,from\nc,c\na,b\nx,b\na,x\na,b\n",
    "interactions": "1,3,.2\n1,4,.5\n2,2,1\n4,2,.7\n",
    "proteins": "gene\nb\nc\nx\na\n",
    "equations": 'eqn,node\ninput gene,x\ninput gene,b\n"fAct(a, 0.5, 1.5) - c",c\ninput gene,a\n',
}
#: Of a screen; the third cell has no clear guide.
SCREEN = """target,guide,bio_rep,guide_umi,guide_frac,confident
non-targeting,NTg1,rep_1,20.0,0.9,True
IRF1,IRF1g1,rep_1,21.0,0.95,True
IRF1,IRF1g1,rep_2,22.0,0.5,False
STAT1,STAT1g1,rep_2,23.0,1,True
"""


def as_published(text, separator=","):
    """Table of texts that are written again as they are, with the separator in its `attrs`."""
    table = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False)
    table.attrs["separator"] = separator
    return table


def mouse_features():
    """Of the cells of `MOUSE`, by the session in the name of their file."""
    median = release_features(MOUSE_RELEASE)["median"]
    table = pd.DataFrame([median] * 5, range(5)).assign(tau=range(5))
    table.loc[1] = np.nan
    table["ID"] = [f"sub-1_ses-{session}_x" for session in (13, 11, 12, 10, 14)]
    return table


def human_features():
    """Of the cells of `HUMAN`."""
    median = release_features(HUMAN_RELEASE)["median"]
    table = pd.DataFrame([median] * 5, range(5))
    table = table + np.arange(5)[:, np.newaxis]
    table.loc[3] = np.nan
    return table.assign(specimen_id=[54, 51, 50, 53, 52])


def blood_tables(rng):
    """Counts of eight genes and two proteins in 40 cells; the fourth cell has no counts."""
    cells = [f"CD8_low_{i}" if i % 2 else f"CD4_{i}" for i in range(40)]
    genes = [*(f"HUMAN_{letter}" for letter in "abcdefg"), "MOUSE_a"]
    counts = pd.DataFrame(rng.negative_binomial(0.3, 0.02, (8, 40)), genes, cells)
    counts.iloc[:, 3] = 0
    proteins = pd.DataFrame(rng.poisson(5, (2, 40)), ["CD3_TotalSeqB", "CD19"], cells)
    return counts, proteins


def blood_clustering(counts):
    """In reverse order; of four cells, two have a type, one is an erythrocyte, and one has none."""
    table = pd.DataFrame({"cell_barcode": counts.columns[::-1], "cluster": range(40)})
    table["type"] = np.tile(["NK", "Ery", None, "B"], 10)
    return table


def visual_cortex_fields(rng):
    """Fields of the file of visual cortex, for four cells, and short names of outputs by long."""
    short = [*gouwens.EXCLUDED_FEATURES, "tau", "rheobase i"]
    names = {f"raw_{i}": name for i, name in enumerate(short)}
    outputs = rng.normal(size=(4, len(short)))
    outputs[2, 3] = np.nan  # in an output that is left out
    texts = {
        "gene_id": ["a", "b"],
        "pc_name": list(names)[:9],
        "sample_id": ["w", "x", "y", "z"],
        "cluster": ["Vip Chat ", "Sst Calb2", "Sst Chodl", "Sst Calb2"],
    }
    fields = {name: np.array(values, dtype=object) for name, values in texts.items()}
    fields["T_dat"] = rng.gamma(1, 2, (4, 2))
    fields["E_pc_scaled"] = outputs[:, :9]
    fields["E_feature"] = outputs[:, 9:]
    fields["feature_name"] = list(names)[9:]  # padded characters, all of the same length
    fields["cluster_color"] = ["#00FF00", "#AABBCC", "#102030", "#AABBCC"]
    fields["map_conf"] = fields["T_spec_id_label"] = np.arange(4)
    return fields, names
