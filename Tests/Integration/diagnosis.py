# SPDX-License-Identifier: Apache-2.0
"""What a failure needs to explain itself: room on the disk before the first test, and the brokers' last words after a failed one."""

import pathlib
import shutil
import tempfile

import pytest

ROOM = 8 << 30
"""Bytes. A broker refuses producers below 1 GiB, which looks to a test as if it never answered."""
LINES = 25


def pytest_sessionstart(session):
    place = session.config.option.basetemp or tempfile.gettempdir()
    place = next(one for one in (pathlib.Path(place).absolute(), *pathlib.Path(place).absolute().parents) if one.exists())
    free = shutil.disk_usage(place).free
    if free < ROOM:
        pytest.exit(f"{place} has {free >> 20} MiB free; the brokers of these tests need {ROOM >> 20}", returncode=3)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    directory = item.funcargs.get("tmp_path") if report.failed and hasattr(item, "funcargs") else None
    if directory is None:
        return
    free = shutil.disk_usage(directory).free >> 20
    for log in sorted(one for one in directory.rglob("*.log") if "rocksdb" not in one.parts):
        lines = log.read_text(errors="replace").splitlines()[-LINES:]
        report.sections.append((f"{log.relative_to(directory)} ({free} MiB free)", "\n".join(lines)))
