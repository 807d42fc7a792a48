"""Parts of the sBNN study that are not in its notebooks: tables and figures of its results."""
