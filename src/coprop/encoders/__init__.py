"""Audio and image encoders: what is heard and what is seen, as features."""
