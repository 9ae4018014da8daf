# SPDX-License-Identifier: Apache-2.0
"""A member under the consumer protocol (KIP-848) in a process of its own: prints what happens to it, a JSON object a
line, with the time. SIGTERM closes it as a program does that ends.

Usage: consumer_member.py BOOTSTRAP GROUP TOPICS-AS-JSON [OPTIONS-AS-JSON]
"""

import json
import signal
import sys
import time

from confluent_kafka import Consumer


def show(event, **facts):
    sys.stdout.write(json.dumps({"at": time.time(), "event": event, **facts}) + "\n")
    sys.stdout.flush()


def partitions(found):
    return [[each.topic, each.partition] for each in found]


def main(bootstrap, group, topics, options="{}"):
    ending = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": group, "group.protocol": "consumer",
        "auto.offset.reset": "earliest", "auto.commit.interval.ms": 200, "topic.metadata.refresh.interval.ms": 1000,
        "error_cb": lambda error: show("error", code=error.name(), text=str(error)), **json.loads(options)})
    show("begun")
    consumer.subscribe(
        json.loads(topics), on_assign=lambda _, found: show("assigned", partitions=partitions(found)),
        on_revoke=lambda _, found: show("revoked", partitions=partitions(found)),
        on_lost=lambda _, found: show("lost", partitions=partitions(found)))
    while not ending:
        message = consumer.poll(0.05)
        if message is None:
            continue
        if message.error() is None:
            show("read", value=message.value().decode(), partition=[message.topic(), message.partition()])
        else:
            show("error", code=message.error().name(), text=str(message.error()))
    show("closing")
    consumer.close()
    show("closed")


if __name__ == "__main__":
    main(*sys.argv[1:])
