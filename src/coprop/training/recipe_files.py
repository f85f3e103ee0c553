"""Where `read_recipe` was before it joined the recipes; kept for code that imports it from here."""

from coprop.training.recipes import config_names, read_recipe, recipe_from

__all__ = ["config_names", "read_recipe", "recipe_from"]
