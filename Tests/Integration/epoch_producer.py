# SPDX-License-Identifier: Apache-2.0
"""A transactional producer whose transactions have an epoch each (KIP-890), which no client library here is.

It says what it is told on sockets, encoded and decoded by kafka-python's message classes: no retries, no state but its id,
its epoch and the sequences of its partitions."""

import socket
import time

from kafka.protocol.metadata import (
    FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest, MetadataResponse)
from kafka.protocol.producer import (
    EndTxnRequest, EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse)

from wire import Wire, batch

NONE, NOT_LEADER, COORDINATOR_LOADING, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR = 0, 6, 14, 15, 16
NOT_ENOUGH_REPLICAS, OUT_OF_ORDER, INVALID_EPOCH, INVALID_TXN_STATE, CONCURRENT, FENCED = 19, 45, 47, 48, 51, 90
TRANSACTION_ABORTABLE = 120
MAY_PASS = {
    NOT_LEADER, COORDINATOR_LOADING, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, NOT_ENOUGH_REPLICAS, CONCURRENT, 3, 5, 7}


class EpochProducer:
    def __init__(self, bootstrap, name, timeout_ms=60000):
        self.bootstrap, self.name, self.timeout_ms = bootstrap.split(","), name, timeout_ms
        self.id, self.epoch, self.sequences = -1, -1, {}

    # Each of these sends one request to the right broker, and returns the error code.

    def init(self, claim=(-1, -1)):
        answer = self._coordinator(InitProducerIdRequest(
            transactional_id=self.name, transaction_timeout_ms=self.timeout_ms, producer_id=claim[0],
            producer_epoch=claim[1]), InitProducerIdResponse, 5)
        if answer.error_code == NONE:
            self._next(answer)
        return answer.error_code

    def produce(self, topic, partition, value, sequence=None, claim=None, version=12):
        """Sends one record; `claim` is another id and epoch than the current ones."""
        identity, epoch = claim or (self.id, self.epoch)
        at = self.sequences.get((topic, partition), 0) if sequence is None else sequence
        records = batch([value], producer=(identity, epoch, at), transactional=True, timestamp=int(time.time() * 1000))
        request = ProduceRequest(
            version=version, transactional_id=self.name, acks=-1, timeout_ms=10000,
            topic_data=[ProduceRequest.TopicProduceData(version=version, name=topic, partition_data=[
                ProduceRequest.TopicProduceData.PartitionProduceData(version=version, index=partition, records=records)])])
        answer = self._ask(self._leader(topic, partition), request, ProduceResponse, version)
        code = answer.responses[0].partition_responses[0].error_code
        if code == NONE and claim is None:
            self.sequences[(topic, partition)] = at + 1
        return code

    def offsets(self, group, topic, partition, offset, claim=None):
        identity, epoch = claim or (self.id, self.epoch)
        Topic = TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic
        request = TxnOffsetCommitRequest(
            version=5, transactional_id=self.name, group_id=group, producer_id=identity, producer_epoch=epoch,
            generation_id=-1, member_id="", group_instance_id=None, topics=[Topic(version=5, name=topic, partitions=[
                Topic.TxnOffsetCommitRequestPartition(
                    version=5, partition_index=partition, committed_offset=offset, committed_leader_epoch=-1,
                    committed_metadata="")])])
        return self._coordinator(request, TxnOffsetCommitResponse, 5).topics[0].partitions[0].error_code

    def end(self, commit, claim=None):
        """Ends the transaction, and takes the id and epoch of the next one; returns the code, and what came with it."""
        identity, epoch = claim or (self.id, self.epoch)
        answer = self._coordinator(EndTxnRequest(
            transactional_id=self.name, producer_id=identity, producer_epoch=epoch, committed=commit),
            EndTxnResponse, 5)
        if answer.error_code == NONE and claim is None:
            self._next(answer)
        return answer.error_code, (answer.producer_id, answer.producer_epoch)

    def until(self, step, seconds=60):
        """Repeats a request while its error may pass."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                result = step()
            except (OSError, AssertionError) as error:  # A connection that ended.
                result = error
            code = result[0] if isinstance(result, tuple) else result
            if isinstance(code, int) and code not in MAY_PASS:
                return result
            assert time.monotonic() < deadline, result
            time.sleep(0.05)  # Another process: it is asked again, and the deadline fails the test.

    def _next(self, answer):
        self.id, self.epoch, self.sequences = answer.producer_id, answer.producer_epoch, {}

    # Where to send it.

    def _ask(self, address, request, response, version):
        with Wire(address) as wire:
            return wire.ask(request, response, version)

    def _anybody(self, request, response, version):
        last = None
        for address in self.bootstrap:
            try:
                return self._ask(address, request(), response, version)
            except (OSError, socket.timeout) as error:
                last = error
        raise last

    def _coordinator(self, request, response, version):
        found = self._anybody(
            lambda: FindCoordinatorRequest(key=self.name, key_type=1), FindCoordinatorResponse, 3)
        if found.error_code:
            raise OSError(f"no coordinator: {found.error_code}")
        return self._ask(f"{found.host}:{found.port}", request, response, version)

    def _leader(self, topic, partition):
        def request():
            return MetadataRequest(version=9, topics=[MetadataRequest.MetadataRequestTopic(version=9, name=topic)],
                                   allow_auto_topic_creation=False)

        answer = self._anybody(request, MetadataResponse, 9)
        leader = next(p.leader_id for p in answer.topics[0].partitions if p.partition_index == partition)
        for broker in answer.brokers:
            if broker.node_id == leader:
                return f"{broker.host}:{broker.port}"
        raise OSError(f"{topic}-{partition} has no leader")
