"""Charts: functions from results to figures in Plotly's words, each with its finding and its table.

Plain dictionaries, so that a page needs no plotting library on the server. Tests hold them against Plotly's
own schema. Knows results and formats; nothing of requests, templates or the database.
"""

from planner.charts.figure import Chart, Table, log_axis
from planner.charts.machines import machines_chart
from planner.charts.nodes import node_charts
from planner.charts.plan import memory_chart, step_chart
from planner.charts.validation import validation_charts

__all__ = [
    "Chart",
    "Table",
    "log_axis",
    "machines_chart",
    "memory_chart",
    "node_charts",
    "step_chart",
    "validation_charts",
]
