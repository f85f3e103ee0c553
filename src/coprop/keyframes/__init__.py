"""What sounds in one frame: the keyframe slot and the networks that fill it (paper section 3.3)."""
