"""Figures of the study of gene-regulatory dynamics, from records alone."""
