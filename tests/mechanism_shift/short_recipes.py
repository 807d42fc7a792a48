"""Recipes that train in seconds."""

from dataclasses import replace

from sbnn.mechanism_shift import PUBLISHED, Recipe

SHORT = Recipe(hidden=64, epochs=100, least_updates=0, updates_per_pair=0, learning_rate=4e-3)
SHORT_PUBLISHED = replace(PUBLISHED, hidden=32, epochs=3, warm_up=1)
TINY = Recipe(hidden=16, epochs=2, least_updates=0, updates_per_pair=0, unmixings=1)
