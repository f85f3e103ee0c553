"""What a machine makes of the pipeline: its speed, part by part, and beside its peers."""
