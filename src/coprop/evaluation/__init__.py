"""Methods run over a labelled dataset, clip by clip, and scored as the field does."""
