"""Results beyond one in memory: written as they come, corrected, and read back."""
