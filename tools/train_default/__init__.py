"""The training of the weights in the package, and the conversion of released ones."""
