"""Places in the repository."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
SAVED_MODELS = ROOT / "saved_models"
