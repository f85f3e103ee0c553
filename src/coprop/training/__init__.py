"""Training the default's models on composed clips; nothing else in the package imports this."""
