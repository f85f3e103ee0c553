"""Masks while the sound is still coming in: see `coprop.live.session.LiveSession`."""
