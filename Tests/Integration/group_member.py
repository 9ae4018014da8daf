# SPDX-License-Identifier: Apache-2.0
"""A consumer-group member in a process of its own, so that a test can kill it: prints each value it reads.

Usage: group_member.py confluent|kafka-python|aiokafka BOOTSTRAP GROUP TOPIC
"""

import asyncio
import sys


def show(value):
    sys.stdout.write(value.decode() + "\n")
    sys.stdout.flush()


def confluent(bootstrap, group, topic):
    from confluent_kafka import Consumer
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
        "session.timeout.ms": 6000, "heartbeat.interval.ms": 500, "auto.commit.interval.ms": 200})
    consumer.subscribe([topic])
    while True:
        message = consumer.poll(1)
        if message is not None and message.error() is None:
            show(message.value())


def kafka_python(bootstrap, group, topic):
    from kafka import KafkaConsumer
    consumer = KafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
        session_timeout_ms=6000, heartbeat_interval_ms=500, auto_commit_interval_ms=200)
    for message in consumer:
        show(message.value)


def aiokafka(bootstrap, group, topic):
    from aiokafka import AIOKafkaConsumer

    async def run():
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
            session_timeout_ms=6000, heartbeat_interval_ms=500, auto_commit_interval_ms=200)
        await consumer.start()
        async for message in consumer:
            show(message.value)

    asyncio.run(run())


if __name__ == "__main__":
    {"confluent": confluent, "kafka-python": kafka_python, "aiokafka": aiokafka}[sys.argv[1]](*sys.argv[2:])
