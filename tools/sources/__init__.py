"""The folder of pictures and recordings that clips are composed from."""
