"""What the values of `coprop.types` are made of, and the forms in which sound is given."""
