"""Both stages of training, on labelled clips; nothing in the pipeline imports this.

`run.train` is a whole training; `recipes` are its settings. `keyframes` and `propagator` say what
each stage learns, `samples` and `losses` from what; `session` is the loop of both.
"""
