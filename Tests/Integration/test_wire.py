# SPDX-License-Identifier: Apache-2.0
"""What no client library sends, or not in these versions: asked on a socket, encoded and decoded by kafka-python's schemas."""

import uuid

import pytest
from kafka.protocol.admin import (
    DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeQuorumRequest, DescribeQuorumResponse,
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, ListConfigResourcesRequest,
    ListConfigResourcesResponse)
from kafka.protocol.consumer import FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse
from kafka.protocol.metadata import (
    FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest, MetadataResponse)
from kafka.protocol.producer import ProduceRequest, ProduceResponse

from wire import Wire, batch

TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
UNKNOWN_TOPIC, UNSUPPORTED_VERSION, UNSUPPORTED_CODEC, UNKNOWN_TOPIC_ID, INVALID_TOPIC = 3, 35, 76, 100, 17


@pytest.fixture
def wire(broker):
    with Wire(broker.bootstrap) as wire:
        yield wire


def create(broker, name, partitions=1, **configuration):
    arguments = [part for key, value in configuration.items() for part in ("-c", f"{key.replace('_', '.')}={value}")]
    answer = broker.cli("topic", "create", name, "-p", str(partitions), *arguments)
    assert answer.returncode == 0, answer.stderr


def topic_id(wire, name):
    request = MetadataRequest(version=12, topics=[MetadataRequest.MetadataRequestTopic(
        version=12, topic_id=uuid.UUID(int=0), name=name)], allow_auto_topic_creation=False)
    (topic,) = wire.ask(request, MetadataResponse, 12).topics
    assert topic.error_code == 0
    return topic.topic_id


def produce(wire, version, values, codec=0, **topic):
    request = ProduceRequest(version=version, transactional_id=None, acks=-1, timeout_ms=10000, topic_data=[
        (topic.get("topic_id") if version >= 13 else topic["name"], [(0, batch(values, codec))])])
    (answer,) = wire.ask(tuples(request), ProduceResponse, version).responses
    (partition,) = answer.partition_responses
    return partition


def tuples(request):
    """kafka-python takes objects with attributes for structs; here they are written as tuples in the order of the fields."""
    def convert(field, value, version):
        if value is None or not isinstance(value, (list, tuple)):
            return value
        if field.is_struct_array():
            return [convert_struct(field, item, version) for item in value]
        if field.is_struct():
            return convert_struct(field, value, version)
        return value

    def convert_struct(field, item, version):
        names = [inner for inner in (field.array_of if field.is_array() else field).untagged_fields(version)]
        assert len(names) == len(item), (field.name, [inner.name for inner in names], item)
        return Struct({inner.name: convert(inner, value, version) for inner, value in zip(names, item)})

    for field in request._struct._fields:
        if field.for_version_q(request.API_VERSION):
            setattr(request, field.name, convert(field, getattr(request, field.name), request.API_VERSION))
    return request


class Struct:
    def __init__(self, values):
        self.__dict__.update(values)


def test_partitions_come_page_by_page(broker, wire):
    create(broker, "alpha", 5)
    create(broker, "beta", 2)

    def page(topics, limit, cursor=None):
        request = DescribeTopicPartitionsRequest(
            version=0, topics=[(name,) for name in topics], response_partition_limit=limit, cursor=cursor)
        answer = wire.ask(tuples(request), DescribeTopicPartitionsResponse, 0)
        found = [(topic.name, [partition.partition_index for partition in topic.partitions]) for topic in answer.topics]
        next_cursor = answer.next_cursor
        return answer, found, next_cursor and (next_cursor.topic_name, next_cursor.partition_index)

    answer, found, cursor = page([], 3)
    assert (found, cursor) == ([("alpha", [0, 1, 2])], ("alpha", 3))
    (topic,) = answer.topics
    assert topic.error_code == 0 and topic.topic_id == topic_id(wire, "alpha") and not topic.is_internal
    for partition in topic.partitions:
        assert (partition.error_code, partition.leader_id) == (0, 1) and partition.leader_epoch >= 0
        assert partition.replica_nodes == [1] and partition.isr_nodes == [1] and partition.offline_replicas == []
    assert page([], 3, cursor)[1:] == ([("alpha", [3, 4]), ("beta", [0])], ("beta", 1))
    assert page([], 3, ("beta", 1))[1:] == ([("beta", [1])], None)
    # A topic that went between two pages is left out; one that is asked for by name and is not there is said so.
    assert page([], 10, ("alphabet", 0))[1:] == ([("beta", [0, 1])], None)
    answer, found, cursor = page(["nowhere", "beta", "not a name"], 10)
    assert [topic.error_code for topic in answer.topics] == [0, INVALID_TOPIC, UNKNOWN_TOPIC] and cursor is None
    assert page([], 2000)[1:] == ([("alpha", [0, 1, 2, 3, 4]), ("beta", [0, 1])], None)


def test_resources_with_a_configuration(broker, wire):
    create(broker, "alpha")

    def resources(version, types=()):
        request = ListConfigResourcesRequest(version=version, **({"resource_types": list(types)} if version else {}))
        answer = wire.ask(request, ListConfigResourcesResponse, version)
        return answer.error_code, [(r.resource_name, r.resource_type) for r in answer.config_resources]

    assert resources(1) == (0, [("alpha", TOPIC), ("1", BROKER)])
    assert resources(1, [TOPIC]) == (0, [("alpha", TOPIC)])
    assert resources(1, [BROKER]) == (0, [("1", BROKER)])
    assert resources(1, [CLIENT_METRICS]) == (0, []) and resources(0) == (0, [])
    assert resources(1, [TOPIC, 99])[0] == UNSUPPORTED_VERSION


@pytest.mark.parametrize("version", [3, 8, 9, 12, 13])
def test_producing_and_fetching_by_name_and_id(broker, wire, version):
    create(broker, "events")
    identity = topic_id(wire, "events")
    stored = produce(wire, version, [b"one", b"two"], name="events", topic_id=identity)
    assert (stored.error_code, stored.base_offset) == (0, 0)
    if version >= 13:
        assert produce(wire, version, [b"x"], topic_id=uuid.uuid4()).error_code == UNKNOWN_TOPIC_ID
        assert produce(wire, version, [b"x"], topic_id=uuid.UUID(int=0)).error_code == UNKNOWN_TOPIC_ID
    else:
        assert produce(wire, version, [b"x"], name="nowhere").error_code == UNKNOWN_TOPIC
    for fetch_version in (11, 12, 13, 16, 17, 18):
        (topic,) = fetch(wire, fetch_version, "events", identity).responses
        assert topic.partitions[0].error_code == 0 and topic.partitions[0].high_watermark == 2
        assert b"one" in bytes(topic.partitions[0].records)


def fetch(wire, version, name, identity):
    partition = [0] + [-1] * (version >= 9) + [0] + [-1] * (version >= 12) + [-1] * (version >= 5) + [1 << 20]
    fields = dict(
        max_wait_ms=0, min_bytes=0, max_bytes=1 << 20, isolation_level=0,
        topics=[(identity if version >= 13 else name, [tuple(partition)])])
    if version <= 14:
        fields["replica_id"] = -1
    if version >= 7:
        fields.update(session_id=0, session_epoch=-1, forgotten_topics_data=[])
    if version >= 11:
        fields["rack_id"] = ""
    return wire.ask(tuples(FetchRequest(version=version, **fields)), FetchResponse, version)


def test_ends_of_the_log_in_each_version(broker, wire):
    create(broker, "events")
    assert produce(wire, 9, [b"one", b"two", b"three"], name="events").error_code == 0

    def offset(version, timestamp):
        partition = (0, -1, timestamp) if version >= 4 else (0, timestamp)
        fields = {"replica_id": -1, "topics": [("events", [partition])]}
        if version >= 2:
            fields["isolation_level"] = 0
        if version >= 10:
            fields["timeout_ms"] = 1000
        request = tuples(ListOffsetsRequest(version=version, **fields))
        (topic,) = wire.ask(request, ListOffsetsResponse, version).topics
        (partition,) = topic.partitions
        return partition.error_code or partition.offset

    since = {-1: (1, 3), -2: (1, 0), -3: (7, 0), -4: (8, 0), -5: (9, -1), -6: (11, -1), 1: (1, 0), 2_000_000: (1, -1)}
    for version in range(1, 12):
        for timestamp, (first, expected) in since.items():
            assert offset(version, timestamp) == (expected if version >= first else UNSUPPORTED_VERSION), (
                version, timestamp)


def test_quorum_directories_and_coordinators(broker, wire):
    request = tuples(DescribeQuorumRequest(version=2, topics=[("__cluster_metadata", [(0,), (1,)]), ("x", [(0,)])]))
    answer = wire.ask(request, DescribeQuorumResponse, 2)
    metadata, other = answer.topics
    found, missing = metadata.partitions
    assert answer.error_code == 0 and (found.error_code, found.leader_id) == (0, 1) and found.leader_epoch > 0
    assert [voter.replica_id for voter in found.current_voters] == [1] and found.high_watermark > 0
    assert missing.error_code == UNKNOWN_TOPIC and other.partitions[0].error_code == UNKNOWN_TOPIC

    create(broker, "events", 2)
    for version in (1, 4, 5):
        (directory,) = wire.ask(DescribeLogDirsRequest(version=version, topics=None), DescribeLogDirsResponse, version).results
        assert directory.error_code == 0 and directory.log_dir == str(broker.data)
        assert [(topic.name, len(topic.partitions)) for topic in directory.topics] == [("events", 2)]
        assert version < 5 or directory.is_cordoned is False

    for version in (4, 5, 6):
        request = FindCoordinatorRequest(version=version, key_type=0, coordinator_keys=["a", "b"])
        found = wire.ask(request, FindCoordinatorResponse, version).coordinators
        assert [(c.key, c.node_id, c.error_code) for c in found] == [("a", 1, 0), ("b", 1, 0)]


def test_zstd_is_refused_to_those_who_cannot_know_it(broker, wire):
    create(broker, "plain")
    create(broker, "packed", compression_type="zstd")
    assert produce(wire, 6, [b"one"], codec=4, name="plain").error_code == UNSUPPORTED_CODEC
    assert produce(wire, 7, [b"one"], codec=4, name="plain").error_code == 0
    assert produce(wire, 6, [b"one"], name="packed").error_code == 0
    for version, error in ((4, UNSUPPORTED_CODEC), (9, UNSUPPORTED_CODEC), (10, 0), (12, 0)):
        (topic,) = fetch(wire, version, "packed", None).responses
        assert topic.partitions[0].error_code == error, version
    # What a producer packed by itself is served as it is.
    (topic,) = fetch(wire, 9, "plain", None).responses
    assert topic.partitions[0].error_code == 0 and bytes(topic.partitions[0].records)
