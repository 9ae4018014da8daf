# SPDX-License-Identifier: Apache-2.0
"""Which client is shown to do what by which test: the marker `conforms`, and a file with the outcomes for tools/conformance.

    @pytest.mark.conforms("librdkafka", "administration")

A test may have several. `--conformance FILE` writes {"test": {"outcome": ..., "marks": [[client, feature], ...]}}.
"""

import json
import pathlib

import pytest


def pytest_addoption(parser):
    parser.addoption("--conformance", metavar="FILE", help="write the outcomes of tests that show what clients can do")


def pytest_configure(config):
    config.addinivalue_line("markers", "conforms(client, feature): shows that a client can use a feature")
    config.addinivalue_line("markers", "long: waits for minutes; not part of `make integration`")
    config.conformance = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    marks = [list(mark.args) for mark in item.iter_markers("conforms")]
    if not marks:
        return
    name = f"{pathlib.Path(item.fspath).name}::{item.originalname}"
    entry = item.config.conformance.setdefault(name, {"outcome": "passed", "marks": marks})
    # One failure, in any of the test's cases and phases, is a failure of the test.
    if report.outcome == "failed" or report.outcome == "skipped" and entry["outcome"] == "passed":
        entry["outcome"] = report.outcome


def pytest_sessionfinish(session):
    target = session.config.getoption("--conformance")
    if target:
        pathlib.Path(target).write_text(json.dumps(session.config.conformance, indent=1, sort_keys=True))
