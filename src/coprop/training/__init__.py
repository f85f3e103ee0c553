"""Both stages of training, on labelled clips; nothing in the pipeline imports this."""
