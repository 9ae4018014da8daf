// SPDX-License-Identifier: Apache-2.0
//
// MarkerHandlers.swift
// WriteTxnMarkers, by which coordinators end transactions in partitions, and DescribeProducers, which shows what is open.

import KafkaProtocol
import Logging
import Model
import Records

extension Broker {
    /// Ends transactions in the partitions that this broker leads; each is answered when its marker is committed.
    ///
    /// Coordinators, which are brokers, may end everything. Clients have no rights yet that could be told apart, and an
    /// operator's tool is one (KIP-664): all of them may abort what is open under its own epoch, which is what a
    /// transaction that hangs needs; whoever asks for more gets CLUSTER_AUTHORIZATION_FAILED.
    func writeTxnMarkers(_ request: WriteTxnMarkersRequest, _ call: Call) {
        let image = shards.shard(on: call.loop).image
        let count = request.markers.reduce(0) { $0 + $1.topics.reduce(0) { $0 + $1.partitionIndexes.count } }
        let gathering = Gathering<KafkaErrorCode>(count: count) { codes in
            call.respond(Self.response(to: request, codes))
        }
        var slot = 0
        for asked in request.markers {
            let marker = TransactionMarker(
                producerID: ProducerID(rawValue: asked.producerID), producerEpoch: asked.producerEpoch,
                outcome: asked.committed ? .commit : .abort, coordinatorEpoch: asked.coordinatorEpoch,
                transactionVersion: call.isForwarded ? asked.transactionVersion : 0)
            for topic in asked.topics {
                for index in topic.partitionIndexes {
                    let own = slot
                    slot += 1
                    guard call.isForwarded || !asked.committed else {
                        gathering.set(own, .clusterAuthorizationFailed)
                        continue
                    }
                    guard let handle = image.topics[topic.name]?.partition(index) else {
                        gathering.set(own, .unknownTopicOrPartition)
                        continue
                    }
                    let isOperators = !call.isForwarded
                    shards.endTransaction(marker, in: handle, isOperators: isOperators) { [logger] code in
                        if isOperators {
                            logger.info(
                                "A transaction was to be aborted by an operator",
                                metadata: [
                                    "partition": "\(topic.name)-\(index)", "producer": "\(asked.producerID)",
                                    "peer": "\(call.peer)", "outcome": "\(code.name)",
                                ])
                        }
                        gathering.set(own, code)
                    }
                }
            }
        }
    }

    /// The answers in the shape of the request.
    private static func response(
        to request: WriteTxnMarkersRequest, _ codes: [KafkaErrorCode]
    ) -> WriteTxnMarkersResponse {
        var rest = codes[...]
        return WriteTxnMarkersResponse(
            markers: request.markers.map { marker in
                WriteTxnMarkersResponse.Marker(
                    producerID: marker.producerID,
                    topics: marker.topics.map { topic in
                        .init(
                            name: topic.name,
                            partitions: topic.partitionIndexes.map {
                                PartitionError(index: $0, errorCode: rest.popFirst() ?? .unknownServerError)
                            })
                    })
            })
    }

    /// The producers that the leaders of partitions remember, and where their open transactions begin.
    func describeProducers(_ request: DescribeProducersRequest, _ call: Call) {
        typealias Answer = DescribeProducersResponse.Partition
        gather(
            request.topics.map { ($0.name, $0.partitionIndexes) }, call, index: { $0 },
            refuse: { Answer(index: $0, errorCode: $1) },
            ask: { partition, index, then in
                if let refusal = partition.produceRefusal { return then(Answer(index: index, errorCode: refusal)) }
                then(Answer(index: index, producers: partition.describedProducers))
            },
            finish: { topics in
                call.respond(
                    DescribeProducersResponse(topics: topics.map { .init(name: $0.name, partitions: $0.answers) }))
            })
    }
}

extension Partition {
    /// What is remembered of each producer, by rising id.
    var describedProducers: [DescribeProducersResponse.Producer] {
        producers.producers.sorted { $0.key < $1.key }.map { id, entry in
            DescribeProducersResponse.Producer(
                producerID: id, producerEpoch: Int32(entry.epoch), lastSequence: entry.newest?.lastSequence ?? -1,
                lastTimestamp: entry.newest?.timestamp ?? entry.lastWrite.milliseconds,
                coordinatorEpoch: entry.coordinatorEpoch,
                currentTransactionStartOffset: producers.transactions.open[id]?.firstOffset ?? -1)
        }
    }
}
