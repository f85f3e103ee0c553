"""Where in a track the set of sounding sources changes (paper section 3.2)."""
