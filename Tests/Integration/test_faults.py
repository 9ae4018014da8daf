# SPDX-License-Identifier: Apache-2.0
"""One short run of the fault harness: three brokers, every process and network fault, power-off of one and of all."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

SEED = os.environ.get("GOULETTE_SEED", "11")
KINDS = "kill,kill-all,pause,power,power-all,isolate,cut-off,one-way,split,latency,loss,slow,wipe,elect,drain"


def test_nothing_is_lost_under_faults(tmp_path):
    run = subprocess.run(
        [sys.executable, str(ROOT / "Tests/Faults/faults.py"), "--seed", SEED, "--minutes", "1", "--only", KINDS,
         "--out", str(tmp_path)], capture_output=True, text=True, timeout=900)
    if run.returncode == 77:
        pytest.skip(run.stderr.strip())
    log = tmp_path / f"seed-{SEED}/run.log"
    assert run.returncode == 0, run.stdout + run.stderr + (log.read_text()[-3000:] if log.exists() else "")
    print(run.stdout)
