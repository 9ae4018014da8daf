// SPDX-License-Identifier: Apache-2.0
//
// MetadataHandlers.swift
// ApiVersions, Metadata with auto-creation: answered from the loop's own image.

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
        if call.version >= 3 {
            call.software?.value = ClientSoftware(
                name: request.clientSoftwareName, version: request.clientSoftwareVersion)
        }
        call.respond(ApiVersionsResponse.served(version: call.version))
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
        guard let asked = request.topics else {
            let view = view(for: call)
            let all = image.topics.values.sorted { $0.record.name < $1.record.name }
            return answerMetadata(all.map { describe($0, view) }, image, request, call)
        }
        if call.version < 12, asked.contains(where: { $0.name == nil || $0.topicID != .zero }) {
            // Versions 10 and 11 have the field for an id, and no meaning for it.
            metrics.error(.invalidRequest).increment()
            let topics = asked.map { MetadataResponse.Topic(errorCode: .invalidRequest, name: $0.name ?? "") }
            return answerMetadata(topics, image, request, call)
        }
        let names = asked.compactMap { $0.topicID == .zero ? $0.name : nil }
        let mayCreate = shard.settings.typed.topics.autoCreate && (call.version < 4 || request.allowAutoTopicCreation)
        let missing = mayCreate ? names.filter { image.topics[$0] == nil && TopicName.problem(with: $0) == nil } : []
        guard !missing.isEmpty else {
            let view = view(for: call)
            return answerMetadata(asked.map { describe($0, in: image, view) }, image, request, call)
        }
        create(Array(Set(missing)), call) { [self] refusals in
            let image = shards.shard(on: call.loop).image
            let view = view(for: call)
            let topics = asked.map { topic in
                guard topic.topicID == .zero, let name = topic.name, image.topics[name] == nil,
                    let refusal = refusals[name]
                else { return describe(topic, in: image, view) }
                return MetadataResponse.Topic(errorCode: refusal, name: name)
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

    private func describe(
        _ asked: MetadataRequest.Topic, in image: ClusterImage, _ view: ClusterView
    ) -> MetadataResponse.Topic {
        let found = image.topic(asked.name, asked.topicID)
        if asked.topicID != .zero {
            guard let found else { return .init(errorCode: .unknownTopicID, name: nil, topicID: asked.topicID) }
            guard asked.name == nil || asked.name == found.record.name else {
                return .init(errorCode: .inconsistentTopicID, name: asked.name, topicID: asked.topicID)
            }
        }
        if let found { return describe(found, view) }
        let name = asked.name ?? ""
        let code: KafkaErrorCode =
            TopicName.problem(with: name) == nil ? .unknownTopicOrPartition : .invalidTopicException
        return MetadataResponse.Topic(errorCode: code, name: name)
    }

    private func describe(_ topic: TopicImage, _ view: ClusterView) -> MetadataResponse.Topic {
        let partitions = zip(topic.partitions, topic.record.partitions).map { view.describe($0, $1) }
        return MetadataResponse.Topic(name: topic.record.name, topicID: topic.record.id, partitions: partitions)
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
}
