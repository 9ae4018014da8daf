// SPDX-License-Identifier: Apache-2.0
//
// MetadataHandlers.swift
// ApiVersions, Metadata with auto-creation, DescribeCluster: answered from the loop's own image.

import KafkaProtocol
import Model
import NIOCore
import Settings
import Telemetry

extension Broker {
    func apiVersions(_ request: ApiVersionsRequest, _ call: Call) {
        guard call.version < 3 || Self.isSoftwareName(request.clientSoftwareName),
            call.version < 3 || Self.isSoftwareName(request.clientSoftwareVersion)
        else {
            metrics.error(.invalidRequest).increment()
            return call.respond(ApiVersionsResponse(errorCode: .invalidRequest))
        }
        call.respond(ApiVersionsResponse.served())
    }

    /// Letters, digits, dots and dashes, beginning and ending with a letter or digit (KIP-511).
    private static func isSoftwareName(_ name: String) -> Bool {
        func isWordCharacter(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: false
            }
        }
        guard let first = name.utf8.first, let last = name.utf8.last else { return false }
        return isWordCharacter(first) && isWordCharacter(last)
            && name.utf8.allSatisfy { isWordCharacter($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
    }

    func metadata(_ request: MetadataRequest, _ call: Call) {
        let shard = shards.shard(on: call.loop)
        let image = shard.image
        guard let names = request.topics?.map(\.name) else {
            let view = view(for: call)
            let all = image.topics.values.sorted { $0.record.name < $1.record.name }
            return answerMetadata(all.map { describe($0, view) }, image, request, call)
        }
        let mayCreate = shard.settings.typed.topics.autoCreate && (call.version < 4 || request.allowAutoTopicCreation)
        let missing = mayCreate ? names.filter { image.topics[$0] == nil && TopicName.problem(with: $0) == nil } : []
        guard !missing.isEmpty else {
            let view = view(for: call)
            return answerMetadata(names.map { describe($0, in: image, view) }, image, request, call)
        }
        create(Array(Set(missing)), call) { [self] refusals in
            let image = shards.shard(on: call.loop).image
            let view = view(for: call)
            let topics = names.map { name in
                image.topics[name] == nil && refusals[name] != nil
                    ? MetadataResponse.Topic(errorCode: refusals[name] ?? .unknownTopicOrPartition, name: name)
                    : describe(name, in: image, view)
            }
            answerMetadata(topics, image, request, call)
        }
    }

    /// Creates topics with the broker's defaults, then calls back on the connection's loop with what was refused.
    private func create(_ names: [String], _ call: Call, then: @escaping @Sendable ([String: KafkaErrorCode]) -> Void) {
        if leadsController(on: call.loop) { return createHere(names, call, then: then) }
        let topics = names.map {
            CreateTopicsRequest.Topic(
                name: $0, partitionCount: -1, replicationFactor: -1, assignments: [], configs: [])
        }
        // The topics appear here once their creation was applied; until then clients ask again.
        let request = CreateTopicsRequest(topics: topics, timeoutMilliseconds: 10_000, validateOnly: false)
        askController(request, version: 5, call) { (answer: CreateTopicsResponse?) in
            let refusals = (answer?.topics ?? []).reduce(into: [String: KafkaErrorCode]()) { refusals, topic in
                let isFine = topic.errorCode == .none || topic.errorCode == .topicAlreadyExists
                if !isFine { refusals[topic.name] = topic.errorCode }
            }
            then(refusals)
        }
    }

    private func createHere(
        _ names: [String], _ call: Call, then: @escaping @Sendable ([String: KafkaErrorCode]) -> Void
    ) {
        let gathering = Gathering<(String, KafkaErrorCode?)>(count: names.count) { results in
            let refusals = results.reduce(into: [String: KafkaErrorCode]()) { $0[$1.0] = $1.1 }
            call.loop.execute { then(refusals) }
        }
        for (slot, name) in names.enumerated() {
            withController { controller in
                controller.create(TopicRequest(name: name)) { refusal in
                    let isFine = refusal == nil || refusal?.code == .topicAlreadyExists
                    gathering.set(slot, (name, isFine ? nil : refusal?.code))
                }
            }
        }
    }

    private func describe(_ name: String, in image: ClusterImage, _ view: ClusterView) -> MetadataResponse.Topic {
        if let topic = image.topics[name] { return describe(topic, view) }
        let code: KafkaErrorCode =
            TopicName.problem(with: name) == nil ? .unknownTopicOrPartition : .invalidTopicException
        return MetadataResponse.Topic(errorCode: code, name: name)
    }

    private func describe(_ topic: TopicImage, _ view: ClusterView) -> MetadataResponse.Topic {
        let partitions = zip(topic.partitions, topic.record.partitions).map { view.describe($0, $1) }
        return MetadataResponse.Topic(name: topic.record.name, partitions: partitions)
    }

    private func answerMetadata(
        _ topics: [MetadataResponse.Topic], _ image: ClusterImage, _ request: MetadataRequest, _ call: Call
    ) {
        let view = view(for: call)
        var response = MetadataResponse(
            brokers: view.brokers.map { .init(nodeID: $0.id.rawValue, host: $0.host, port: $0.port, rack: $1) },
            clusterID: image.clusterID, controllerID: view.controllerID, topics: topics)
        if request.includeClusterAuthorizedOperations { response.clusterAuthorizedOperations = Self.clusterOperations }
        if request.includeTopicAuthorizedOperations {
            for position in response.topics.indices {
                response.topics[position].topicAuthorizedOperations = Self.topicOperations
            }
        }
        call.respond(response)
    }

    /// Everything is allowed: create, alter, describe, cluster action, describe and alter configs, idempotent write.
    static let clusterOperations: Int32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12
    /// Read, write, create, delete, alter, describe, describe and alter configs.
    static let topicOperations: Int32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11
    /// Read, delete, describe.
    static let groupOperations: Int32 = 1 << 3 | 1 << 6 | 1 << 8

    func describeCluster(_ request: DescribeClusterRequest, _ call: Call) {
        let image = shards.shard(on: call.loop).image
        let view = view(for: call)
        var response = DescribeClusterResponse(
            clusterID: image.clusterID, controllerID: view.controllerID,
            brokers: view.brokers.map { .init(brokerID: $0.id.rawValue, host: $0.host, port: $0.port, rack: $1) })
        if request.includeClusterAuthorizedOperations { response.clusterAuthorizedOperations = Self.clusterOperations }
        call.respond(response)
    }
}
