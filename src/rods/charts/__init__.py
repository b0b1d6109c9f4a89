"""Charts as SVG that the server draws: no script is needed to see them.

No package was found that draws accessible charts with little JavaScript: Plotly and Vega are
megabytes, uPlot and Chart.js draw on a canvas that no screen reader reads, pygal and leather draw
at a fixed width, which nobody can read on a phone. So a chart is data here, and one template
(Jinja, which the pages need anyway) draws it. Positions are percentages, so text keeps its size at
any width; each chart has its numbers as a table.
"""
