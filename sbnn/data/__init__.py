"""Data: `paired` (two measurements of the same cells), `datasets` (those with a name), `simulate`, `streams`.

And what they are made with: `preprocessing`, `registry`, `sources` and `inventory` (files, where they are and whether
they are intact), `readers` (file formats and publications), `inputs` and `checks` (the border), `fingerprint`.
"""
