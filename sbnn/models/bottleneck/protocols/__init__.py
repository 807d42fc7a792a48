"""How networks choose their genes and are trained: as published, or by distillation."""
