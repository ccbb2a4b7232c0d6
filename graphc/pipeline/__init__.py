"""The one road: declare -> grad -> compile. Here a graph becomes a function, stage by stage, and each stage can be looked at."""

from graphc.pipeline.function import Function
from graphc.pipeline.report import Pass, Report
from graphc.pipeline.road import BACKENDS, OPTIMISATIONS, RAISING, Backend, compile, evaluate

__all__ = ["BACKENDS", "OPTIMISATIONS", "RAISING", "Backend", "Function", "Pass", "Report", "compile", "evaluate"]
