// SPDX-License-Identifier: Apache-2.0
//
// DescribeQuorumRequest.swift
// DescribeQuorum (key 55) request, versions 0 to 2; flexible from version 0.

/// Asks for the state of the controller's group.
public struct DescribeQuorumRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeQuorum
    /// What answers this request.
    public typealias Response = DescribeQuorumResponse

    /// The partitions asked about.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(topics: [Topic] = []) {
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeQuorum, version: version)
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeQuorum, version: version)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension DescribeQuorumRequest {
    /// One topic and its partitions.
    public typealias Topic = TopicPartitions<Partition>

    /// One partition.
    public typealias Partition = BarePartition
}
