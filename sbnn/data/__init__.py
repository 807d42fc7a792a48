"""Data: `paired` (two measurements of the same cells), `datasets` (those with a name), `simulate`, `streams`.

And what they are made with: `preprocessing`; `catalogue`, `registry`, `sources` and `inventory` (which files there are,
where, and whether they are intact); `readers` (file formats and publications); `inputs` and `checks` (the border);
`fingerprint`.
"""
