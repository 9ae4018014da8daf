# SPDX-License-Identifier: Apache-2.0
"""Plants each deliberate bug and runs seeds until the checker catches it; and one seed without any must be valid.

Needs binaries built with GOULETTE_MUTATIONS=1 (or a debug build): `make faults-planted`.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import sandbox

SEEDS_MAX = 5

PLANTED = {
    # name: (kinds of faults, what it must be caught as)
    "acknowledge-unflushed": ("power-all,slow", {"lost", "unseen", "inconsistent", "vanished"}),
    "skip-vote-sync": ("kill,power", {"broken promises"}),
    "acknowledge-at-leader": ("isolate,cut-off", {"lost", "unseen", "inconsistent"}),
    "read-past-high-watermark": ("isolate,one-way", {"vanished", "inconsistent"}),
    "forget-producers": ("kill,pause,isolate", {"duplicate"}),
    "serve-deposed": ("isolate,pause", {"log end back"}),
    "drop-commits": ("kill", {"group offset back"}),
}


def run(seed, minutes, out, only, plant=None):
    """The violations of one run, or None when there was no verdict."""
    words = [sys.executable, str(sandbox.HERE / "faults.py"), "--seed", str(seed), "--minutes", str(minutes),
             "--only", only, "--out", str(out)]
    done = subprocess.run(words + (["--plant", plant] if plant else []), capture_output=True, text=True,
                          preexec_fn=sandbox.dies_with_parent)
    report = out / f"seed-{seed}/report.json"
    if done.returncode not in (0, 1) or not report.exists():
        print(done.stdout + done.stderr)
        return None
    return set(json.loads(report.read_text())["violations"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--only", help="names of deliberate bugs")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("faults-results/planted"))
    chosen = parser.parse_args()
    reason = sandbox.obstacle()
    if reason:
        print(f"planted: skipped: {reason}", file=sys.stderr)
        return 77
    missed = 0
    found = run(1, chosen.minutes, chosen.out / "none", "kill,pause,isolate,power-all")
    print(f"{'(nothing planted)':28}" + ("valid" if found == set() else f"NOT VALID: {found}"), flush=True)
    missed += found != set()
    for plant in chosen.only.split(",") if chosen.only else PLANTED:
        only, wanted = PLANTED[plant]
        for seed in range(1, SEEDS_MAX + 1):
            found = run(seed, chosen.minutes, chosen.out / plant, only, plant)
            if found and found & wanted:
                print(f"{plant:28}caught with seed {seed} as {', '.join(sorted(found & wanted))}", flush=True)
                break
            print(f"{plant:28}seed {seed}: {', '.join(sorted(found)) if found else found}", flush=True)
        else:
            print(f"{plant:28}NOT CAUGHT in {SEEDS_MAX} seeds", flush=True)
            missed += 1
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
