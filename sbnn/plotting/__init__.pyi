"""The public names, for type checkers, which see nothing of `__getattr__`."""

from sbnn.plotting.colors import family_colors as family_colors
from sbnn.plotting.common import save_figure as save_figure
from sbnn.plotting.common import style as style
from sbnn.plotting.curves import bottleneck_comparison as bottleneck_comparison
from sbnn.plotting.curves import training_curves as training_curves
from sbnn.plotting.dimensions import component_variance as component_variance
from sbnn.plotting.dimensions import tsne_pair as tsne_pair
from sbnn.plotting.genes import gene_selection_curve as gene_selection_curve
from sbnn.plotting.genes import genes_curve as genes_curve
from sbnn.plotting.genes import selection_frequencies as selection_frequencies
from sbnn.plotting.interpretation import effect_map as effect_map
from sbnn.plotting.latent import family_zoom as family_zoom
from sbnn.plotting.latent import latent_panels as latent_panels
from sbnn.plotting.models import accuracy_comparison as accuracy_comparison
from sbnn.plotting.summary import overview as overview
from sbnn.plotting.trust import map_trust as map_trust
