"""What every part uses: values shown and checked, paths, optional packages, logging, precision."""
