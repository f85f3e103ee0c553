"""From a clip to masks: what is to be done with each frame, and how it is done."""
