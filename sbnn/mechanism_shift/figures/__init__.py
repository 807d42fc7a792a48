"""Figures of the study of perturbation screens, from saved records alone."""
