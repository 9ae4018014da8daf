# SPDX-License-Identifier: Apache-2.0
"""Real brokers, real clients, real faults: see README.md beside this file.

    faults.py --seed 7 --minutes 5 --brokers 3
    faults.py --seeds 1-12 --minutes 5 --out results
    faults.py --seed 7 --only kill,pause
    faults.py --seed 7 --schedule             # what would happen; starts nothing
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import sandbox
from schedule import KINDS, Schedule

SKIPPED = 77
"""The exit code where namespaces cannot be made."""


def arguments():
    parser = argparse.ArgumentParser(description="Runs a cluster under faults and checks what its clients saw.")
    parser.add_argument("--seed", type=int, help="one run")
    parser.add_argument("--seeds", help="several: 1-12 or 3,5,9")
    parser.add_argument("--minutes", type=float, default=5, help="how long faults go on, of each seed")
    parser.add_argument("--brokers", type=int, default=3, choices=(3, 5))
    parser.add_argument("--only", help=f"kinds of faults, of {', '.join(KINDS)}")
    parser.add_argument("--without", default="", help="kinds that are never on")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("faults-results"))
    parser.add_argument("--plant", help="a deliberate bug, of a build with GOULETTE_MUTATIONS=1")
    parser.add_argument("--keep", action="store_true", help="keep histories and data also when nothing is wrong")
    parser.add_argument("--schedule", action="store_true", help="print what a seed decides, and do nothing")
    chosen = parser.parse_args()
    for kind in (chosen.only or "").split(",") + chosen.without.split(","):
        if kind and kind not in KINDS:
            parser.error(f"no such fault: {kind}")
    return chosen


def seeds(chosen):
    if chosen.seed is not None:
        return [chosen.seed]
    if not chosen.seeds:
        return [int.from_bytes(os.urandom(4), "big")]
    first, _, last = chosen.seeds.partition("-")
    return list(range(int(first), int(last) + 1)) if last else [int(seed) for seed in chosen.seeds.split(",")]


def schedule_of(seed, chosen):
    return Schedule(
        seed, round(chosen.minutes * 60), chosen.brokers, only=chosen.only.split(",") if chosen.only else None,
        without=chosen.without.split(","))


def main():
    chosen = arguments()
    if os.environ.get(sandbox.INSIDE):
        from trial import Trial

        seed = seeds(chosen)[0]
        return Trial(schedule_of(seed, chosen), chosen.out / f"seed-{seed}", chosen.plant, chosen.keep).run()
    if chosen.schedule:
        print(json.dumps([schedule_of(seed, chosen).as_json() for seed in seeds(chosen)], indent=1))
        return 0
    reason = sandbox.obstacle()
    if reason:
        print(f"faults: skipped: {reason}", file=sys.stderr)
        return SKIPPED
    return run_all(chosen)


def run_all(chosen):
    """Each seed in a sandbox of its own, with a bound on its time; the worst result of all."""
    worst = 0
    for seed in seeds(chosen):
        out = chosen.out / f"seed-{seed}"
        out.mkdir(parents=True, exist_ok=True)
        words = [__file__, "--seed", seed, "--minutes", chosen.minutes, "--brokers", chosen.brokers,
                 "--out", chosen.out, "--without", chosen.without]
        words += ["--only", chosen.only] if chosen.only else []
        words += ["--plant", chosen.plant] if chosen.plant else []
        words += ["--keep"] if chosen.keep else []
        began = time.monotonic()
        try:
            with open(out / "run.log", "w") as log:
                code = sandbox.run_inside(
                    list(map(str, words)), timeout=chosen.minutes * 60 + 900, stdout=log, stderr=log).returncode
        except subprocess.TimeoutExpired:
            code = 3
        summary = out / "summary.txt"
        said = summary.read_text() if summary.exists() and summary.stat().st_mtime > time.time() - (
            time.monotonic() - began) else f"seed {seed}: no verdict, code {code}; see {out}/run.log\n"
        print(said, end="", flush=True)
        worst = max(worst, code)
    return worst


if __name__ == "__main__":
    sys.exit(main())
