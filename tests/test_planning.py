"""What a plan says of the machine it was made on."""

import subprocess
import sys

HASHES = """
from coursekit import planning
before = planning.environment_sha256()
import nbgrader.api, setuptools
print(before == planning.environment_sha256(), len(before))
"""


def test_the_environment_has_one_hash_whatever_was_imported_before():
    assert subprocess.check_output([sys.executable, "-c", HASHES], text=True) == "True 64\n"
