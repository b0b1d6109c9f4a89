"""The retail and airline toolkits of tau2-bench, as they are; see docs/environments.md.

Where tau2-bench is installed, `tau2.domains.retail.tools:RetailTools[-ToolKitBase]` needs none of
this. Here its packages are known without what they import: 20 packages more, and Python 3.12.
"""

import os
import sys
from types import ModuleType

for name in ("", ".domains", ".domains.airline", ".domains.retail", ".environment"):
    package = sys.modules.setdefault(f"tau2{name}", ModuleType(f"tau2{name}"))
    package.__path__ = [os.path.join(os.environ["TAU2_BENCH"], "src/tau2", *name.split("."))]

from tau2.domains.airline import tools as airline  # type: ignore[import-not-found] # noqa: E402
from tau2.domains.retail import tools as retail  # type: ignore[import-not-found] # noqa: E402

Airline = type("Airline", (airline.AirlineTools,), {"rods_tools": ["-ToolKitBase"]})
Retail = type("Retail", (retail.RetailTools,), {"rods_tools": ["-ToolKitBase"]})
