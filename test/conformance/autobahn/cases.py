# For the suite's own Python 2.7: `cases.py FOLDER` reads FOLDER/spec.json and writes the ids of the cases that it stands for
# to FOLDER/due.json, so that a case which silently did not run is noticed.
import json
import os
import sys

from autobahntestsuite import case
from autobahntestsuite.caseset import CaseSet

folder = sys.argv[1]
with open(os.path.join(folder, "spec.json")) as source:
    spec = json.load(source)
known = CaseSet("WebSocket", "Case", case.Cases, case.CaseCategories, case.CaseSubCategories)
with open(os.path.join(folder, "due.json"), "w") as target:
    json.dump(known.parseSpecCases(spec), target)
