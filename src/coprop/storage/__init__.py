"""Files that appear whole, one writer at a time, and the one store of rows."""
