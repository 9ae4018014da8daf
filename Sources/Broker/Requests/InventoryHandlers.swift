// SPDX-License-Identifier: Apache-2.0
//
// InventoryHandlers.swift
// DescribeCluster, DescribeTopicPartitions, ListConfigResources: what there is, answered from the loop's own image.

import KafkaProtocol
import Model
import Telemetry

extension Broker {
    // MARK: Brokers

    func describeCluster(_ request: DescribeClusterRequest, _ call: Call) {
        switch EndpointType(rawValue: request.endpointType) {
        case .broker: break
        case .controller:
            return refuse(call, .mismatchedEndpointType, "This is a broker; controllers have no listener of their own")
        case nil: return refuse(call, .unsupportedEndpointType, "Endpoint type \(request.endpointType) is not known")
        }
        let image = shards.shard(on: call.loop).image
        let view = view(for: call)
        var response = DescribeClusterResponse(
            clusterID: image.clusterID, controllerID: view.controllerID,
            brokers: view.brokers.map { .init(brokerID: $0.id.rawValue, host: $0.host, port: $0.port, rack: $1) })
        if request.includeFencedBrokers {
            response.brokers += image.fencedBrokers.map { broker in
                let address = broker.registration.kafka
                return .init(
                    brokerID: broker.id.rawValue, host: address.host, port: address.port, rack: broker.rack,
                    isFenced: true)
            }
        }
        if request.includeClusterAuthorizedOperations { response.clusterAuthorizedOperations = Self.clusterOperations }
        call.respond(response)
    }

    private func refuse(_ call: Call, _ code: KafkaErrorCode, _ message: String) {
        metrics.error(code).increment()
        call.respond(DescribeClusterResponse(errorCode: code, errorMessage: message, clusterID: ""))
    }

    // MARK: Partitions

    func describeTopicPartitions(_ request: DescribeTopicPartitionsRequest, _ call: Call) {
        let image = shards.shard(on: call.loop).image
        if let cursor = request.cursor, cursor.partitionIndex < 0 {
            metrics.error(.invalidRequest).increment()
            let topics = request.topics.map {
                DescribeTopicPartitionsResponse.Topic(errorCode: .invalidRequest, name: $0.name)
            }
            return call.respond(DescribeTopicPartitionsResponse(topics: topics))
        }
        let names = request.topics.isEmpty ? Array(image.topics.keys) : Array(Set(request.topics.map(\.name)))
        let page = PartitionPage(
            names.sorted().map { ($0, image.topics[$0]?.partitions.count) }, from: request.cursor,
            limit: Int(request.responsePartitionLimit))
        let view = view(for: call)
        let topics = page.topics.map { part in describe(part.name, part.partitions, image, view) }
        call.respond(DescribeTopicPartitionsResponse(topics: topics, nextCursor: page.next))
    }

    private func describe(
        _ name: String, _ range: Range<Int>?, _ image: ClusterImage, _ view: ClusterView
    ) -> DescribeTopicPartitionsResponse.Topic {
        guard let topic = image.topics[name], let range else {
            let code: KafkaErrorCode =
                TopicName.problem(with: name) == nil ? .unknownTopicOrPartition : .invalidTopicException
            return .init(errorCode: code, name: name)
        }
        let partitions = range.map { position in
            let partition = view.describe(topic.partitions[position], topic.record.partitions[position])
            return DescribeTopicPartitionsResponse.Partition(
                errorCode: partition.errorCode, index: partition.index, leaderID: partition.leaderID,
                leaderEpoch: partition.leaderEpoch, replicaNodes: partition.replicaNodes,
                isrNodes: partition.isrNodes, offlineReplicas: partition.offlineReplicas)
        }
        return .init(
            name: name, topicID: topic.record.id, partitions: partitions,
            topicAuthorizedOperations: Self.topicOperations)
    }

    // MARK: Resources

    /// The resources that DescribeConfigs can be asked about; what has no configuration here has no resources, and of
    /// groups those are listed that have some for themselves.
    func listConfigResources(_ request: ListConfigResourcesRequest, _ call: Call) {
        // Version 0 asks for sets of client metrics, of which there are none.
        guard call.version >= 1 else { return call.respond(ListConfigResourcesResponse()) }
        guard request.resourceTypes.allSatisfy({ ConfigResourceType(rawValue: $0) != nil }) else {
            metrics.error(.unsupportedVersion).increment()
            return call.respond(ListConfigResourcesResponse(errorCode: .unsupportedVersion))
        }
        let image = shards.shard(on: call.loop).image
        func isAsked(_ type: ConfigResourceType) -> Bool {
            request.resourceTypes.isEmpty || request.resourceTypes.contains(type.rawValue)
        }
        var found: [ListConfigResourcesResponse.Resource] = []
        if isAsked(.topic) {
            found += image.topics.keys.sorted().map {
                .init(resourceName: $0, resourceType: ConfigResourceType.topic.rawValue)
            }
        }
        if isAsked(.broker) {
            found += view(for: call).brokers.map {
                .init(resourceName: "\($0.address.id)", resourceType: ConfigResourceType.broker.rawValue)
            }
        }
        if isAsked(.group) {
            found += image.groupConfigurations.keys.sorted().map {
                .init(resourceName: $0, resourceType: ConfigResourceType.group.rawValue)
            }
        }
        call.respond(ListConfigResourcesResponse(configResources: found))
    }
}

/// The partitions that one answer to DescribeTopicPartitions holds.
struct PartitionPage {
    /// The most partitions of a page, whatever the client asks for.
    static let partitionsMax = 2000

    /// Topics by rising name; the range is nil for a topic that does not exist.
    private(set) var topics: [(name: String, partitions: Range<Int>?)] = []
    /// Where the next page begins; nil behind the last one.
    private(set) var next: TopicPartitionCursor?

    /// Takes partitions of `all`, which has the topics by rising name, from `cursor` on.
    ///
    /// A topic that does not exist takes the room of one partition.
    init(_ all: [(name: String, partitionCount: Int?)], from cursor: TopicPartitionCursor?, limit: Int) {
        var room = min(max(1, limit), Self.partitionsMax)
        for (name, count) in all {
            if let cursor, name < cursor.topicName { continue }
            let start = cursor?.topicName == name ? Int(cursor?.partitionIndex ?? 0) : 0
            guard room > 0 else {
                next = TopicPartitionCursor(topicName: name, partitionIndex: Int32(clamping: start))
                return
            }
            guard let count else {
                topics.append((name, nil))
                room -= 1
                continue
            }
            let end = min(count, start + room)
            topics.append((name, min(start, count)..<max(end, min(start, count))))
            room -= max(0, end - start)
            if end < count, start < count {
                next = TopicPartitionCursor(topicName: name, partitionIndex: Int32(end))
                return
            }
        }
    }
}
