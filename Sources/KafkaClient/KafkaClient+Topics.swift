// SPDX-License-Identifier: Apache-2.0
//
// KafkaClient+Topics.swift
// Administrative calls about topics: create, delete, partitions, configuration, trimming.

public import KafkaProtocol
public import Model

/// A topic to be created.
public struct NewTopic: Sendable {
    /// Its name.
    public var name: String
    /// How many partitions; nil takes the broker's default.
    public var partitions: Int32?
    /// How many copies of each; nil takes the broker's default.
    public var replicas: Int16?
    /// Settings that differ from the broker's defaults, in the order given.
    public var configs: [(name: String, value: String)]

    /// Describes a topic.
    public init(
        _ name: String, partitions: Int32? = nil, replicas: Int16? = nil, configs: [(name: String, value: String)] = []
    ) {
        self.name = name
        self.partitions = partitions
        self.replicas = replicas
        self.configs = configs
    }
}

/// One setting of a topic or a broker.
public struct ConfigEntry: Equatable, Sendable {
    /// Its name.
    public let name: String
    /// Its value; nil when it is secret.
    public let value: String?
    /// Which layer the value comes from.
    public let source: ConfigSource?
    /// Whether it can be changed.
    public let isReadOnly: Bool
    /// Whether its value is hidden.
    public let isSensitive: Bool

    /// Whether somebody set it for this topic.
    public var isOverride: Bool { source == .topic }
}

/// A change of one setting; a nil value goes back to the default.
public struct ConfigChange: Sendable {
    /// The setting's name.
    public let name: String
    /// Its new value.
    public let value: String?

    /// Describes a change.
    public init(_ name: String, to value: String?) {
        self.name = name
        self.value = value
    }
}

extension KafkaClient {
    private var serverTimeout: Int32 { Int32(clamping: settings.requestTimeoutMilliseconds) }

    /// Creates a topic and returns when the cluster has committed it.
    public func createTopic(_ topic: NewTopic, validateOnly: Bool = false) async throws(ClientError) {
        let request = CreateTopicsRequest(
            topics: [
                CreateTopicsRequest.Topic(
                    name: topic.name, partitionCount: topic.partitions ?? -1, replicationFactor: topic.replicas ?? -1,
                    configs: topic.configs.map { .init(name: $0.name, value: $0.value) })
            ], timeoutMilliseconds: serverTimeout, validateOnly: validateOnly)
        try await retrying(final: .unknownTopicOrPartition) { client throws(ClientError) in
            let response = try await client.callController(request)
            let answer = response.topics.first { $0.name == topic.name }
            try Self.check(answer?.errorCode, answer?.errorMessage, "create topic", "topic \(topic.name)")
        }
    }

    /// Deletes a topic with its records.
    public func deleteTopic(_ name: String) async throws(ClientError) {
        let request = DeleteTopicsRequest(topicNames: [name], timeoutMilliseconds: serverTimeout)
        try await retrying(final: .unknownTopicOrPartition) { client throws(ClientError) in
            let response = try await client.callController(request)
            try Self.check(response.topics.first { $0.name == name }?.errorCode, nil, "delete topic", "topic \(name)")
        }
    }

    /// Raises the number of partitions of a topic to `count`.
    public func setPartitionCount(_ name: String, to count: Int32) async throws(ClientError) {
        let request = CreatePartitionsRequest(
            topics: [.init(name: name, count: count)], timeoutMilliseconds: serverTimeout)
        try await retrying(final: .unknownTopicOrPartition) { client throws(ClientError) in
            let response = try await client.callController(request)
            let answer = response.topics.first { $0.name == name }
            try Self.check(answer?.errorCode, answer?.errorMessage, "add partitions", "topic \(name)")
        }
    }

    /// Changes settings of a topic; those that are not named stay as they are.
    public func alterTopic(_ name: String, _ changes: [ConfigChange]) async throws(ClientError) {
        let configs = changes.map { change in
            IncrementalAlterConfigsRequest.Config(
                name: change.name,
                operation: (change.value == nil ? ConfigOperation.delete : .set).rawValue, value: change.value)
        }
        let request = IncrementalAlterConfigsRequest(
            resources: [.init(resourceType: ConfigResourceType.topic.rawValue, resourceName: name, configs: configs)])
        try await retrying(final: .unknownTopicOrPartition) { client throws(ClientError) in
            let answer = try await client.callController(request).resources.first
            try Self.check(answer?.errorCode, answer?.errorMessage, "alter topic", "topic \(name)")
        }
    }

    /// Every setting of a topic, by name.
    public func topicConfigs(_ name: String) async throws(ClientError) -> [ConfigEntry] {
        let request = DescribeConfigsRequest(
            resources: [.init(resourceType: ConfigResourceType.topic.rawValue, resourceName: name)])
        return try await retrying(final: .unknownTopicOrPartition) { client throws(ClientError) in
            let answer = try await client.call(request).resources.first
            try Self.check(answer?.errorCode, answer?.errorMessage, "describe configuration", "topic \(name)")
            return (answer?.configs ?? []).map { config in
                ConfigEntry(
                    name: config.name, value: config.value, source: ConfigSource(rawValue: config.source),
                    isReadOnly: config.isReadOnly, isSensitive: config.isSensitive)
            }.sorted { $0.name < $1.name }
        }
    }

    /// Removes every record below `offset` (-1: all of them) and returns the new first offset.
    public func deleteRecords(_ partition: TopicPartition, below offset: Offset) async throws(ClientError) -> Offset {
        let request = DeleteRecordsRequest(
            topics: [
                .init(
                    name: partition.topic,
                    partitions: [.init(index: partition.partition.rawValue, offset: offset.rawValue)])
            ], timeoutMilliseconds: serverTimeout)
        return try await retrying(final: .unknownTopicOrPartition) { client throws(ClientError) in
            let response = try await client.callLeader(of: partition, request)
            let answer = response.topics.first?.partitions.first
            try Self.check(answer?.errorCode, nil, "delete records", "\(partition)")
            return Offset(answer?.lowWatermark ?? -1)
        }
    }

    /// Sends `request` to the controller; its place is asked for first when it is not known.
    func callController<Request: KafkaRequestMessage>(_ request: Request) async throws(ClientError) -> Request.Response
    {
        let isKnown: Bool = await withCore { core, done in done(core.metadata.controller != nil) }
        if !isKnown { _ = try await metadata(topics: []) }
        return try await call(request, to: .controller)
    }

    /// Sends `request` to the leader of `partition` as the metadata of this moment names it.
    func callLeader<Request: KafkaRequestMessage>(
        of partition: TopicPartition, _ request: Request
    ) async throws(ClientError) -> Request.Response {
        let metadata = try await metadata(topics: [partition.topic])
        guard let leader = metadata[partition]?.leader else {
            let code = metadata.topics[partition.topic]?.errorCode ?? .unknownTopicOrPartition
            throw ClientError(
                refused: code == .none ? .leaderNotAvailable : code, attempted: Request.apiKey.name,
                place: "\(partition)")
        }
        return try await call(request, to: .node(leader))
    }

    /// Throws unless `code` is present and says that there was no error.
    static func check(
        _ code: KafkaErrorCode?, _ message: String?, _ attempted: String, _ place: String
    ) throws(ClientError) {
        guard let code else {
            throw ClientError(.malformedResponse, attempted: attempted, place: place, detail: "no answer for it")
        }
        guard code == .none else {
            throw ClientError(refused: code, attempted: attempted, place: place, detail: message)
        }
    }
}
