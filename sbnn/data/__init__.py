"""Data: `paired` (two measurements of the same cells), `datasets` (those with a name), `simulate`, `streams`.

Electrophysiology that tells the type of a cell: `typed_cells`, `ephys_tables` (a user's own), `ephys_features` (units,
families and what mouse and human have in common), `simulate_ephys`.

And what they are made with: `preprocessing`; `catalogue`, `registry`, `sources` and `inventory` (which files there are,
where, and whether they are intact); `readers` (file formats and publications); `inputs` and `checks` (the border);
`fingerprint`.
"""
