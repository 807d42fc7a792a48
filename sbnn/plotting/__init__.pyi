"""The public names, for type checkers, which see nothing of `__getattr__`."""

from .colors import color_by as color_by
from .common import headline as headline
from .common import save_figure as save_figure
from .common import show_and_save as show_and_save
from .common import style as style
from .curves import bottleneck_comparison as bottleneck_comparison
from .curves import training_curves as training_curves
from .dimensions import cell_maps as cell_maps
from .dimensions import map_trust_subplots as map_trust_subplots
from .dimensions import tsne_pair as tsne_pair
from .genes import effect_map as effect_map
from .genes import gene_selection_curve as gene_selection_curve
from .genes import genes_curve as genes_curve
from .genes import selection_frequencies as selection_frequencies
from .latent import family_zoom as family_zoom
from .latent import latent_subplots as latent_subplots
from .latent import model_overview as model_overview
from .models import accuracy_comparison as accuracy_comparison
from .models import bottleneck_widths as bottleneck_widths
from .models import output_accuracy as output_accuracy
from .models import width_and_stability as width_and_stability
