# SPDX-License-Identifier: Apache-2.0
"""A member of a share group (KIP-932) in a process of its own: prints what it gets and what it is told of its
acknowledgements, a JSON object a line. SIGTERM closes it as a program does that ends.

Usage: share_member.py BOOTSTRAP GROUP TOPIC MODE [OPTIONS-AS-JSON]

MODE is `accept`, to acknowledge what it gets, or `hold`, to keep the first records it gets and do nothing more.
"""

import json
import signal
import sys
import time

from confluent_kafka import KafkaException, ShareConsumer


def show(event, **facts):
    sys.stdout.write(json.dumps({"at": time.time(), "event": event, **facts}) + "\n")
    sys.stdout.flush()


def main(bootstrap, group, topic, mode, options="{}"):
    ending = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
    consumer = ShareConsumer({
        "bootstrap.servers": bootstrap, "group.id": group, "share.acknowledgement.mode": "explicit",
        "topic.metadata.refresh.interval.ms": 1000, **json.loads(options)})
    consumer.subscribe([topic])
    show("begun")
    while not ending:
        try:
            messages = list(consumer.poll(0.2))
        except KafkaException as error:
            show("error", text=str(error))
            continue
        good = []
        for message in messages:
            if message.error() is None:
                good.append(message)
                show("got", value=message.value().decode(), deliveries=message.delivery_count())
            else:
                show("error", text=str(message.error()))
        if mode == "hold" and good:
            show("holding")
            while not ending:
                time.sleep(0.1)  # Until somebody ends this process.
            break
        if not good:
            continue
        for message in good:
            consumer.acknowledge(message)
        try:
            outcome = consumer.commit_sync(60)
        except KafkaException as error:
            show("error", text=str(error))
            continue
        confirmed = {(each.topic, each.partition) for each, error in outcome.items() if error is None}
        for error in filter(None, outcome.values()):
            show("error", text=str(error))
        for message in good:
            if (message.topic(), message.partition()) in confirmed:
                show("accepted", value=message.value().decode())
    consumer.close()
    show("closed")


if __name__ == "__main__":
    main(*sys.argv[1:])
