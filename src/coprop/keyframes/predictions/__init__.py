"""Predictions that a model has written, as keyframes: no code of the model is needed."""

from coprop.keyframes.predictions.layouts import LayoutName as LayoutName
from coprop.keyframes.predictions.model import Missing as Missing
from coprop.keyframes.predictions.model import Predictions as Predictions
from coprop.keyframes.predictions.run import PredictionRun as PredictionRun
from coprop.keyframes.predictions.times import Every as Every
from coprop.keyframes.predictions.values import Values as Values
