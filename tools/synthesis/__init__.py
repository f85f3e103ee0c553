"""Sounds and pictures that are rendered: MIDI phrases, machines, speech, the overview."""
