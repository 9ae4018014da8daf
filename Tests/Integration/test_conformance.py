# SPDX-License-Identifier: Apache-2.0
"""The pages and vectors that are made from tests and clients are what they would be made to be now."""

import subprocess
import sys

import confluent_kafka

from conftest import ROOT


def check(*command):
    answer = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_table_of_clients_names_the_tests_and_versions_there_are():
    check("tools/conformance", "--check")
    page = (ROOT / "docs/COMPATIBILITY.md").read_text()
    assert f"librdkafka {confluent_kafka.libversion()[0]} inside" in page


def test_the_messages_of_kafka_python_are_those_it_encodes():
    check("tools/vectors", "--check")
