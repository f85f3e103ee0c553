"""The tables of the paper's shape, on the open benchmark."""
